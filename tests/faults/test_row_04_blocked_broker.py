"""Row 4: a broker that takes nothing more, because its memory alarm rings, neither loses nor deadlocks."""

import asyncio
import time

import pytest

from tests.faults.arena import TIERS, Arena
from tests.faults.ground import Ground
from tests.faults.producers import steady
from tests.faults.trial import Trial

RATE = 30.0
NORMAL = "0.4"


@pytest.mark.faults(4, alone=True)
async def test_a_memory_alarm_loses_nothing_and_http_submissions_are_taken_meanwhile(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    for tier in TIERS:
        await arena.add_clients(tier, 4 if trial.long else 2)
    http, amqp = arena.http_producer(), arena.amqp_producer(timeout=10)
    async with steady([http], arena.rng, rate=RATE) as flow, steady([amqp], arena.rng, rate=2.0):
        await flow.seconds(2)
        alarm = time.monotonic()
        await ground.ctl("set_vm_memory_high_watermark", "0.000001")
        try:
            await asyncio.sleep(60 if trial.long else 6)
            delivered = _delivered_since(arena, alarm)
        finally:
            over = time.monotonic()
            await ground.ctl("set_vm_memory_high_watermark", NORMAL)
        await flow.seconds(2)
    trial.timing("recovery s", await arena.converged())
    trial.timing("accepted over HTTP without an alarm ms", *_latencies(arena, 0.0, alarm))
    trial.timing("accepted over HTTP during the alarm ms", *_latencies(arena, alarm, over))
    trial.tally(**{"deliveries during the alarm": delivered})
    trial.judge(arena.findings())


def _latencies(arena: Arena, since: float, until: float) -> list[float]:
    return [
        (each.settled - each.began) * 1000
        for each in arena.history.submissions.values()
        if each.settled is not None and since <= each.began < until and each.told.startswith("20")
    ]


def _delivered_since(arena: Arena, since: float) -> int:
    late = {each.key for each in arena.history.submissions.values() if each.began >= since}
    return sum(len(late & client.received) for client in arena.history.clients)
