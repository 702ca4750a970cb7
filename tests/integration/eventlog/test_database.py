"""What the two databases' drivers say, in our words."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.support.ingest import Submitter, eventually
from tests.support.producers import standard
from tiercast_ingest.domain.settlement import Stored
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogHead
from tiercast_local.ports import free_port
from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.database import ConnectionLost, Database, Unstorable
from tiercast_shared.eventlog.head import lock_head_row, move_head

TERMINATE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def cut_connections(url: str) -> None:
    async with Database.open(url) as other, other.reading() as session:
        await session.exec(text(TERMINATE_OTHERS))


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
async def test_a_url_may_leave_the_driver_out(scheme: str, tmp_path: Path):
    async with Database.open(f"{scheme}:///{tmp_path}/x.db") as database, database.reading() as session:
        assert (await session.exec(text("SELECT 1"))).scalar_one() == 1


async def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path):
    for url in (f"postgresql://nobody@127.0.0.1:{free_port()}/x", f"sqlite:///{tmp_path}/missing/x.db"):
        async with Database.open(url) as database:
            with pytest.raises(StorageUnavailable, match="database: "):
                async with database.reading() as session:
                    await session.exec(text("SELECT 1"))
    # aiosqlite does not wait for the thread of a connection that could not be opened, which then speaks to a closed loop
    await eventually(lambda: not any("_connection_worker_thread" in thread.name for thread in threading.enumerate()))


async def test_a_value_that_does_not_fit_is_unstorable(database: Database):
    statement = text("INSERT INTO signal_log_publisher (id, holder, until, published) VALUES (2, :holder, 0, 0)")
    with pytest.raises(Unstorable):
        async with database.writing() as session:
            await session.exec(statement, params={"holder": "\ud800"})


async def test_a_broken_constraint_is_not_the_values_fault(database: Database):
    statement = text("INSERT INTO signal_log_publisher (id, holder, until, published) VALUES (1, 'x', 0, 0)")
    with pytest.raises(StorageUnavailable):
        async with database.writing() as session:
            await session.exec(statement)


async def test_a_failed_block_is_rolled_back(database: Database, store: SignalStore):
    before = await store.head()

    async def fail() -> None:
        async with database.writing() as session:
            await session.exec(text("UPDATE signal_log_head SET seq = 99"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await store.head() == before


async def test_writers_of_one_sqlite_file_wait_for_each_other(sqlite_url: str):
    async with Database.open(sqlite_url) as one, Database.open(sqlite_url) as two:
        async with one.writing() as session:
            await session.exec(text("CREATE TABLE counter (n INTEGER)"))
            await session.exec(text("INSERT INTO counter VALUES (0)"))

        async def count(database: Database) -> None:
            async with database.writing() as session:
                n = (await session.exec(text("SELECT n FROM counter"))).scalar_one()
                await asyncio.sleep(0.001)
                await session.exec(text(f"UPDATE counter SET n = {n + 1}"))

        await asyncio.gather(*(count(database) for database in (one, two) * 20))
        async with one.reading() as session:
            assert (await session.exec(text("SELECT n FROM counter"))).scalar_one() == 40


async def test_a_connection_that_broke_is_told_apart(postgres_url: str):
    async def write(database: Database) -> None:
        async with database.writing() as session:
            await session.exec(text("SELECT 1"))
            await cut_connections(postgres_url)
            await session.exec(text("SELECT 1"))

    async with Database.open(postgres_url) as database:
        with pytest.raises(ConnectionLost):
            await write(database)


async def test_a_transaction_is_committed_and_returns_what_it_came_to(database: Database):
    def raise_seq(connection: Connection) -> int:
        connection.execute(text("UPDATE signal_log_head SET seq = seq + 1"))
        return connection.execute(text("SELECT seq FROM signal_log_head")).scalar_one()

    assert [await database.transaction(raise_seq) for _ in range(3)] == [1, 2, 3]
    async with database.reading() as session:
        assert (await session.exec(text("SELECT seq FROM signal_log_head"))).scalar_one() == 3


async def test_a_transaction_that_fails_is_rolled_back(database: Database, store: SignalStore):
    before = await store.head()

    def fail(connection: Connection) -> None:
        connection.execute(text("UPDATE signal_log_head SET seq = 99"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.transaction(fail)
    assert await store.head() == before


@pytest.mark.parametrize(
    ("number", "holder", "problem"),
    [(2, "\ud800", Unstorable), (1, "x", StorageUnavailable)],
    ids=["value", "constraint"],
)
async def test_what_a_transaction_meets_is_told_in_our_words(
    database: Database, number: int, holder: str, problem: type[Exception]
):
    statement = text("INSERT INTO signal_log_publisher (id, holder, until, published) VALUES (:number, :holder, 0, 0)")
    with pytest.raises(problem):
        await database.transaction(
            lambda connection: connection.execute(statement, {"number": number, "holder": holder})
        )


async def test_transactions_of_several_writers_wait_for_each_other(database_url: str, database: Database):
    def count(connection: Connection) -> None:
        head = lock_head_row(connection, SignalLogHead)
        move_head(connection, SignalLogHead, seq=head.seq + 1)

    async with Database.open(database_url) as other:
        await asyncio.gather(*(each.transaction(count) for each in (database, other) * 20))
        assert (await SignalStore(other).head()).seq == 40


async def test_a_database_away_is_told_by_a_transaction(tmp_path: Path):
    for url in (f"postgresql://nobody@127.0.0.1:{free_port()}/x", f"sqlite:///{tmp_path}/missing/x.db"):
        async with Database.open(url) as database:
            with pytest.raises(StorageUnavailable, match="database: "):
                await database.transaction(lambda connection: connection.execute(text("SELECT 1")).one())


async def test_a_database_is_closed_when_the_transaction_under_way_is_done(sqlite_url: str):
    begun, go_on = threading.Event(), threading.Event()

    def create(connection: Connection) -> None:
        begun.set()
        assert go_on.wait(20)
        connection.execute(text("CREATE TABLE done (n INTEGER)"))

    async with Database.open(sqlite_url) as database:
        working = asyncio.create_task(database.transaction(create))
        assert await asyncio.to_thread(begun.wait, 20)
        working.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    async with Database.open(sqlite_url) as database, database.reading() as session:
        assert (await session.exec(text("SELECT count(*) FROM done"))).scalar_one() == 0


async def test_a_commit_over_a_connection_that_broke_while_idle_is_repeated(
    database: Database, database_url: str, submitter: Submitter, store: SignalStore
):
    await submitter.commit(standard())
    if database.engine.dialect.name == "postgresql":
        await cut_connections(database_url)
    (outcome,) = await submitter.commit(standard())
    assert isinstance(outcome, Stored)
    assert (outcome.seq, outcome.duplicate) == (2, False)
    assert (await store.head()).seq == 2


async def test_every_statement_is_counted_and_a_transactions_begin_and_end_are_not(database_url: str):
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    async with Database.open(database_url, on_statement=count) as database:
        async with database.reading() as session:
            await session.exec(text("SELECT 1"))
            await session.exec(text("SELECT 2"))
        assert (await database.execute(text("SELECT 3")))[0][0] == 3
        async with database.writing():
            pass
        await database.transaction(lambda connection: connection.execute(text("SELECT 4")).one())
    assert counted == 4
