"""Row 11: a slow consumer harms only itself."""

import asyncio

import psutil
import pytest

from tests.faults.arena import PATIENCE, Arena
from tests.faults.crowd import Crowd
from tests.faults.producers import Flow, steady, until
from tests.faults.stalled import StalledClient
from tests.faults.trial import Trial
from tests.support.stack_factory import StackFactory

RATE = 20.0
RING = 1000
PADDING = 4000
"""Bytes more in each signal, so that a socket that nobody reads is full soon."""

PER_USER = 5


@pytest.mark.faults(11, alone=True)
async def test_clients_that_stop_reading_harm_nobody_else(trial: Trial, make_stack: StackFactory) -> None:
    healthy, stalled, seconds = (500, 50, 60.0) if trial.long else (50, 10, 4.0)
    stack = make_stack(database="postgresql", settings={"GATEWAY_RING_CAPACITY": str(RING)})
    async with Arena(stack, trial.rng) as arena:
        users = [f"user-{number}" for number in range((healthy + stalled) // PER_USER)]
        await asyncio.gather(*(arena.certainly_set_tier(user, "elite") for user in users))
        crowd = Crowd([stack.gateway.url], lambda key: _sent_at(arena, key), arena.rng)
        for number in range(healthy):
            crowd.join(stack.token(users[number // PER_USER]), 0)
        await until(lambda: crowd.connected == healthy, PATIENCE, "all healthy clients are connected")
        witness = (await arena.add_clients("pro", 1))[0]
        gateway = psutil.Process(stack.gateway.pid)
        async with steady([arena.http_producer()], arena.rng, rate=RATE, padding=PADDING) as flow:
            quiet = await _measure(crowd, flow, seconds)
            before = gateway.memory_info().rss
            slow_users = [users[-1 - number // PER_USER] for number in range(stalled)]
            slow = [StalledClient(stack.gateway.url, stack.token(user)) for user in slow_users]
            disturbed = await _measure(crowd, flow, seconds)
            after = gateway.memory_info().rss
        await arena.converged()
        last = max(frame["seq"] for frame in witness.record.sessions[-1].frames() if frame["type"] == "new_signal")
        await until(lambda: crowd.lagging(last) == 0, PATIENCE, "all healthy clients have everything")
        ends = await asyncio.gather(*(asyncio.to_thread(client.drain) for client in slow))
        for client in slow:
            client.close()
        await crowd.leave()
    seen = crowd.seen
    trial.timing("healthy latency without slow clients ms", *quiet)
    trial.timing("healthy latency with slow clients ms", *disturbed)
    trial.tally(
        **{
            "gateway's memory before kB": before // 1024,
            "gateway's memory after kB": after // 1024,
            "healthy deliveries": seen.deliveries,
            "slow clients": stalled,
            "slow clients told (resync or 4002)": sum(b"resync_required" in end or b"too_slow" in end for end in ends),
        }
    )
    trial.count("healthy clients' gaps", seen.gaps, of=seen.deliveries, unit="deliveries")
    trial.count("healthy clients' closes", seen.closes.total(), of=healthy, unit="healthy clients")
    assert seen.gaps == seen.repeated == seen.resyncs == 0
    assert not seen.closes
    trial.judge(arena.findings())


async def _measure(crowd: Crowd, flow: Flow, seconds: float) -> list[float]:
    """Latencies over a while, milliseconds."""
    crowd.seen.latencies.clear()
    crowd.seen.measuring = True
    await flow.seconds(seconds)
    crowd.seen.measuring = False
    return [sample * 1000 for sample in crowd.seen.latencies]


def _sent_at(arena: Arena, key: str) -> float | None:
    submitted = arena.history.submissions.get(key)
    return submitted.began if submitted is not None else None
