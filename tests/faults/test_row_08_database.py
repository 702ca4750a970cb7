"""Row 8: a database that is away or full makes ingest refuse, never lie."""

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.arena import Arena
from tests.faults.dead import dead_letters
from tests.faults.ground import Ground, session
from tests.faults.history import Outcome
from tests.faults.nemesis import revived
from tests.faults.producers import steady
from tests.faults.small_disk import small_disk
from tests.faults.trial import Trial
from tests.support.lasting_thread import in_lasting_thread
from tests.support.stack import Stack
from tiercast_local.postgres_server import PostgresServer, installed_programs

RATE = 30.0


async def under_load(trial: Trial, arena: Arena, fault: Callable[[], Awaitable[None]]) -> None:
    """Cause `fault` while signals flow over both ways in, until all is delivered."""
    await arena.add_clients("pro", 2)
    producers = [arena.http_producer(), arena.amqp_producer()]
    async with steady(producers, arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
        await fault()
        await revived(arena.stack.services)
        await flow.seconds(1)
    trial.timing("recovery s", await arena.converged())


async def judge(trial: Trial, arena: Arena, logged: set[str]) -> None:
    """What was answered 2xx has a row, and nothing good was put aside."""
    accepted = {each.key for each in arena.history.with_outcome(Outcome.OK)}
    missing = accepted - logged
    letters = await dead_letters(arena.stack.amqp_url)
    names = {each.content["signal_id"] for each in arena.history.submissions.values()}
    buried = [letter for letter in letters if letter.message_id in names]
    trial.count("2xx without a row", len(missing), of=len(accepted), unit="accepted")
    trial.count("good messages dead-lettered", len(buried), of=len(arena.history.submissions), unit="submitted")
    refused = [each for each in arena.history.submissions.values() if each.told.startswith("503") or each.attempts > 1]
    trial.tally(**{"submissions that met the fault": len(refused)})
    assert not missing
    assert not buried
    trial.judge(arena.findings())


@pytest.mark.faults(8, line="PostgreSQL: sessions terminated", trials=2)
async def test_terminated_sessions_are_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        for _ in range(30 if trial.long else 4):
            trial.tally(**{"sessions terminated": await ground.terminate_sessions()})
            await asyncio.sleep(arena.rng.uniform(0.1, 1.0))

    await under_load(trial, arena, fault)
    await judge(trial, arena, {row.key for row in await ground.rows()})


@pytest.mark.faults(8, line="PostgreSQL: stopped at once (immediate)", trials=2)
async def test_a_postgres_that_is_stopped_at_once_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        await ground.stop_postgres()
        await asyncio.sleep(10 if trial.long else 2)
        await ground.start_postgres()

    await under_load(trial, arena, fault)
    await judge(trial, arena, {row.key for row in await ground.rows()})


@pytest.mark.faults(8, line="PostgreSQL: table locked")
async def test_a_locked_table_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        async with ground.session() as session, session.transaction():
            await session.execute("LOCK TABLE signal_log IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(15 if trial.long else 3)

    await under_load(trial, arena, fault)
    await judge(trial, arena, {row.key for row in await ground.rows()})


@pytest.mark.faults(8, line="PostgreSQL: disk full")
async def test_a_full_disk_under_postgres_is_survived(
    trial: Trial, amqp_url: str, tmp_path: Path, outside: Path
) -> None:
    if not trial.long or installed_programs() is None:
        pytest.skip("in the long form only, where PostgreSQL is installed")
    with small_disk(outside / "disk", 160) as disk:
        if disk is None:
            pytest.skip("no file system may be mounted here")
        server = PostgresServer(disk.path / "data")
        server.start()
        try:
            urls = [server.create_database(name) for name in ("ingest", "tiers")]
            stack = Stack(tmp_path, amqp_url=amqp_url, ingest_database=urls[0], tiers_database=urls[1])
            async with running(stack), Arena(stack, trial.rng) as arena:

                async def fault() -> None:
                    disk.fill()
                    await asyncio.sleep(10)
                    disk.free()
                    await in_lasting_thread(server.start)  # it may have given up

                await under_load(trial, arena, fault)
                async with session(server.url("ingest")) as connection:
                    rows = await connection.fetch("SELECT body FROM signal_log")
                await judge(trial, arena, {key_of(row["body"]) for row in rows})
        finally:
            server.stop_immediately()


@pytest.mark.faults(8, line="SQLite: locked")
async def test_a_locked_sqlite_is_survived(trial: Trial, amqp_url: str, tmp_path: Path) -> None:
    file = tmp_path / "ingest.db"
    stack = sqlite_stack(amqp_url, file, tmp_path)
    async with running(stack), Arena(stack, trial.rng) as arena:

        async def fault() -> None:
            with closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                await asyncio.sleep(15 if trial.long else 3)
                other.execute("ROLLBACK")

        await under_load(trial, arena, fault)
        await judge(trial, arena, sqlite_keys(file))


@pytest.mark.faults(8, line="SQLite: disk full")
async def test_a_full_disk_under_sqlite_is_survived(trial: Trial, amqp_url: str, tmp_path: Path, outside: Path) -> None:
    with small_disk(outside / "disk", 8) as disk:
        if disk is None:
            pytest.skip("no file system may be mounted here")
        file = disk.path / "ingest.db"
        stack = sqlite_stack(amqp_url, file, tmp_path)
        async with running(stack), Arena(stack, trial.rng) as arena:

            async def fault() -> None:
                disk.fill()
                await asyncio.sleep(10 if trial.long else 2)
                disk.free()

            await under_load(trial, arena, fault)
            await judge(trial, arena, sqlite_keys(file))


def sqlite_stack(amqp_url: str, file: Path, directory: Path) -> Stack:
    tiers = f"sqlite+aiosqlite:///{directory}/tiers.db"
    return Stack(directory, amqp_url=amqp_url, ingest_database=f"sqlite+aiosqlite:///{file}", tiers_database=tiers)


def sqlite_keys(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {key_of(body) for (body,) in connection.execute("SELECT body FROM signal_log")}


def key_of(body: bytes) -> str:
    key: str = json.loads(body)["hash"]
    return key


@pytest.fixture
def outside() -> Iterator[Path]:
    """A directory that PostgreSQL's own user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="tiercast-disk-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[None]:
    """The stack runs while the block does."""
    try:
        stack.start()
        yield
    finally:
        stack.stop()
