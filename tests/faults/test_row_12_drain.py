"""Row 12: a replica that is told to end sends its clients away without loss and without a herd."""

import asyncio
import time
from collections import Counter

import pytest

from tests.faults.arena import PATIENCE, TIERS, Arena
from tests.faults.crowd import ABNORMAL, Crowd
from tests.faults.producers import steady, until
from tests.faults.trial import Trial
from tests.support.stack_factory import StackFactory

RATE = 5.0
PER_USER = 5
GRACE_SECONDS = 30.0
"""What Kubernetes gives by default before it kills."""

DRAINING = 4001


@pytest.mark.faults(12, alone=True)
async def test_a_replica_that_drains_loses_nothing_and_causes_no_herd(trial: Trial, make_stack: StackFactory) -> None:
    sockets = 2000 if trial.long else 200
    settings = {} if trial.long else {"GATEWAY_DRAIN_SECONDS": "3"}
    stack = make_stack(gateways=3, database="postgresql", settings=settings)
    leaving = stack.gateways[0]
    async with Arena(stack, trial.rng) as arena:
        users = [f"user-{number}" for number in range(sockets // PER_USER)]
        await asyncio.gather(*(arena.certainly_set_tier(user, "elite") for user in users))
        crowd = Crowd([gateway.url for gateway in stack.gateways], lambda _: None, arena.rng)
        for number in range(sockets):
            crowd.join(stack.token(users[number // PER_USER]), 0)
        for tier in TIERS:
            await arena.add_clients(tier, 4)
        await until(lambda: crowd.connected == sockets, PATIENCE, "all sockets are connected")
        async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
            await flow.seconds(2)
            asked = time.monotonic()
            leaving.terminate()
            status = await leaving.ended(within=PATIENCE)
            ended = time.monotonic()
            await until(lambda: crowd.connected == sockets, PATIENCE, "all sockets are connected again")
            await flow.seconds(2)
        await arena.converged()
        last = max(
            frame["seq"]
            for client in arena.clients
            if client.record.user.startswith("elite")
            for frame in client.record.sessions[-1].frames()
            if frame["type"] == "new_signal"
        )
        await until(lambda: crowd.lagging(last) == 0, PATIENCE, "everybody has everything")
        await crowd.leave()
    seen = crowd.seen
    closes = seen.closes + _closes_of(arena)
    per_second = Counter(int(at - asked) for at in seen.reconnects)
    trial.timing("exit after SIGTERM s", ended - asked, target=GRACE_SECONDS)
    trial.tally(
        sockets=sockets,
        **{"reconnects in the busiest second": max(per_second.values(), default=0), "refused meanwhile": seen.refused},
        **{f"closes with {code}": count for code, count in closes.items()},
    )
    trial.count("closes without a close code", closes[ABNORMAL], of=closes.total(), unit="closes")
    trial.count("gaps of the crowd", seen.gaps, of=seen.deliveries, unit="deliveries to the crowd")
    trial.count("repeated to the crowd", seen.repeated, of=seen.deliveries, unit="deliveries to the crowd")
    assert status == 0
    assert set(closes) == {DRAINING}, seen.abnormal
    assert seen.gaps == seen.repeated == seen.resyncs == 0
    trial.judge(arena.findings())


def _closes_of(arena: Arena) -> Counter[int]:
    codes = (session.close_code for client in arena.history.clients for session in client.sessions)
    return Counter(code for code in codes if code is not None)
