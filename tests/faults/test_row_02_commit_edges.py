"""Row 2: ingest may die at every edge of a commit."""

import pytest

from tests.faults.arena import TIERS, Arena
from tests.faults.ground import Ground
from tests.faults.nemesis import revived
from tests.faults.producers import Producer, steady
from tests.faults.trial import Trial
from tests.support.crashing import CRASHED, CrashingIngest, Edge

RATE = 60.0
PASSAGES = 12
"""At most so often is the edge passed unharmed before the crash."""


async def crash_often(trial: Trial, ground: Ground, arena: Arena, edge: Edge, producers: list[Producer]) -> None:
    """Let ingest die at `edge` again and again under load, and judge."""
    ingest = arena.stack.ingest
    crashing = CrashingIngest("ingest", {}, ingest.log)
    crashing.port, crashing.metrics_port, crashing.environment = ingest.port, ingest.metrics_port, ingest.environment
    for tier in TIERS:
        await arena.add_clients(tier, 1)
    crashes = 50 if trial.long else 2
    try:
        async with steady(producers, arena.rng, rate=RATE, patient_share=0.9) as flow:
            await flow.seconds(0.5)
            ingest.kill()
            for _ in range(crashes):
                await _free_lease(ground)
                crashing.spawn_crashing(edge, arena.rng.randint(1, PASSAGES))
                status = await crashing.ended(within=240)
                assert status == CRASHED, crashing.tail()
            await revived([ingest])
    finally:
        if crashing.alive():
            crashing.kill()
    trial.timing("all delivered after the last crash s", await arena.converged())
    rows = [row.key for row in await ground.rows()]
    trial.tally(crashes=crashes)
    trial.count("stored twice", len(rows) - len(set(rows)), of=len(rows), unit="positions")
    assert len(rows) == len(set(rows))
    trial.judge(arena.findings())


async def _free_lease(ground: Ground) -> None:
    """Spare the trial the three seconds until a dead holder's lease ends."""
    async with ground.session() as session:
        await session.execute("UPDATE signal_log_publisher SET until = 0")


@pytest.mark.faults(2, line="after commit, before the answer (HTTP)")
async def test_a_crash_after_the_commit_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    await crash_often(trial, ground, arena, Edge.AFTER_COMMIT, [arena.http_producer()])


@pytest.mark.faults(2, line="after commit, before the ack (AMQP)")
async def test_a_crash_before_the_ack_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    await crash_often(trial, ground, arena, Edge.AFTER_COMMIT, [arena.amqp_producer()])


@pytest.mark.faults(2, line="after publish, before the confirm")
async def test_a_crash_before_the_confirm_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    await crash_often(trial, ground, arena, Edge.AFTER_PUBLISH, [arena.http_producer(), arena.amqp_producer()])


@pytest.mark.faults(2, line="after confirm, before the cursor moves")
async def test_a_crash_before_the_cursor_moves_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    await crash_often(trial, ground, arena, Edge.AFTER_CONFIRM, [arena.http_producer(), arena.amqp_producer()])
