"""Row 6: the log has no holes and no forks, whoever writes, waits or dies."""

import asyncio
import hashlib
from collections.abc import Sequence

import pytest

from tests.faults.arena import Arena
from tests.faults.ground import Ground, LogRow
from tests.faults.history import Outcome
from tests.faults.nemesis import Fault, Nemesis, revived
from tests.faults.producers import steady
from tests.faults.trial import Trial
from tests.support.services import Service

REPLICAS = 3
GENESIS = bytes(32)
RATE = 200.0


@pytest.mark.faults(6, trials=2)
async def test_concurrent_writers_leave_no_hole_and_no_fork(trial: Trial, ground: Ground, arena: Arena) -> None:
    first = arena.stack.ingest
    others = [arena.replica_of_ingest() for _ in range(REPLICAS - 1)]
    for replica in others:
        replica.spawn()
    try:
        await revived(others)
        await arena.add_clients("pro", 2)
        producers = [arena.http_producer(replica.url) for replica in (first, *others)] + [arena.amqp_producer()]
        faults = [_held(ground, arena), _rolled_back(ground), _sessions_ended(ground), _killed(others, arena)]
        nemesis = Nemesis(arena.rng, faults, pause=(0.2, 1.5))
        total = 4000 if trial.long else 600
        async with steady(producers, arena.rng, rate=RATE, total=total) as flow, nemesis.raging():
            await flow.complete.wait()
        await revived(arena.stack.services + others)
        await arena.converged()
    finally:
        for replica in others:
            replica.stop()
    rows = await ground.rows()
    holes, broken = holes_in(rows), forks_in(rows)
    trial.count("gaps", len(holes), of=len(rows), unit="positions")
    trial.count("forks", len(broken), of=len(rows), unit="positions")
    trial.tally(positions=len(rows), **nemesis.done)
    assert not holes
    assert not broken
    accepted = {each.key for each in arena.history.with_outcome(Outcome.OK)}
    keys = [row.key for row in rows]
    assert len(keys) == len(set(keys))
    assert accepted <= set(keys)
    first.command("ledger", "verify")
    trial.judge(arena.findings())


def holes_in(rows: Sequence[LogRow]) -> list[str]:
    """Positions that are missing or doubled, in both feeds."""
    found = [f"seq {row.seq} at place {at}" for at, row in enumerate(rows, 1) if row.seq != at]
    standard = [row.standard_seq for row in rows if row.standard_seq is not None]
    return found + [f"standard_seq {seq} at place {at}" for at, seq in enumerate(standard, 1) if seq != at]


def forks_in(rows: Sequence[LogRow]) -> list[str]:
    """Places where a hash chain, recomputed here from the bodies, is not what was stored."""
    found = []
    chain = standard = GENESIS
    for row in rows:
        digest = hashlib.sha256(row.body).digest()
        chain = hashlib.sha256(chain + digest).digest()
        if row.chain != chain:
            found.append(f"seq {row.seq}")
        if row.standard_seq is not None:
            standard = hashlib.sha256(standard + digest).digest()
            if row.standard_chain != standard:
                found.append(f"standard_seq {row.standard_seq}")
    return found


def _held(ground: Ground, arena: Arena) -> Fault:
    async def fault() -> str:
        async with ground.session() as session, session.transaction():
            await session.execute("SELECT * FROM signal_log_head FOR UPDATE")
            await asyncio.sleep(arena.rng.uniform(0.2, 2.0))
        return "transactions that held the head"

    return fault


def _rolled_back(ground: Ground) -> Fault:
    async def fault() -> str:
        async with ground.session() as session:
            transaction = session.transaction()
            await transaction.start()
            await session.execute("UPDATE signal_log_head SET seq = seq + 7")
            await transaction.rollback()
        return "transactions rolled back"

    return fault


def _sessions_ended(ground: Ground) -> Fault:
    async def fault() -> str:
        await ground.terminate_sessions()
        return "times all sessions ended"

    return fault


def _killed(replicas: Sequence[Service], arena: Arena) -> Fault:
    async def fault() -> str:
        replica = arena.rng.choice(replicas)
        replica.kill()
        replica.spawn()
        return "kills of a writer"

    return fault
