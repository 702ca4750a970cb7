"""Taking signals in while databases are away and consumers die: nothing is lost, and nothing good is dead-lettered."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import aio_pika
import pytest
from sqlalchemy import event, text

from tests.support.breakable import BreakableBroker, BreakablePostgres
from tests.support.ingest import HttpIngest, InboundIngest, eventually, http_ingest, inbound_ingest
from tests.support.producers import publish_fast, standard
from tests.support.tcp_proxy import TcpProxy
from tiercast_ingest import ledger
from tiercast_ingest.app import PACKAGE
from tiercast_shared.eventlog import database as database_module
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate

Outage = Callable[[Database], AbstractAsyncContextManager[None]]

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a locked database after half a second instead of five."""
    monkeypatch.setattr(database_module, "LOCK_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("tiercast_ingest.delivery.LAST_RETRY_SECONDS", 0.5)
    monkeypatch.setattr("tiercast_ingest.inbound.RETRY_SECONDS", 0.05)


async def waiting(url: str, queue: str) -> int:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0


async def survives(
    url: str, ingest: InboundIngest, http: HttpIngest, outage: AbstractAsyncContextManager[None]
) -> None:
    """Signals over both transports before, during and after an outage: none is lost, answered wrongly or dead-lettered."""
    before, during, after = ([standard() for _ in range(20)] for _ in range(3))
    await publish_fast(url, before, producer="acme")
    await ingest.stored(20)
    refused = standard()
    async with outage:
        await publish_fast(url, during, producer="acme")
        answer = await http.post(refused)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        await eventually(lambda: (ingest.metric("signals_postponed_total", transport="amqp") or 0) >= 20)
        assert ingest.inbound.problem() is None, "the consumer goes on"
    await publish_fast(url, after, producer="acme")
    await ingest.stored(60)
    assert (await http.post(refused)).status_code == 201
    await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
    assert (await waiting(url, "signals.inbound"), await waiting(url, "signals.dead")) == (0, 0)
    assert ingest.metric("messages_dead_lettered_total", reason="unstorable") == 0
    assert await ledger.verify(ingest.store) == ledger.Verdict(61, 61)


@asynccontextmanager
async def sqlite_locked(database: Database) -> AsyncIterator[None]:
    other = sqlite3.connect(database.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


@asynccontextmanager
async def sqlite_full(database: Database) -> AsyncIterator[None]:
    """No page more than there are; SQLite says what it would say of a full disk."""
    full = True

    def limit(connection: sqlite3.Connection, _record: object = None, _proxy: object = None) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count = {1 if full else 1_000_000_000}")
        cursor.close()

    assert database._local is not None
    for engine in (database.engine.sync_engine, database._local.engine):
        event.listen(engine, "checkout", limit)
    yield
    full = False


@asynccontextmanager
async def table_locked(database: Database) -> AsyncIterator[None]:
    async with database.engine.connect() as connection, connection.begin() as transaction:
        await connection.execute(text("LOCK TABLE signal_log_head IN ACCESS EXCLUSIVE MODE"))
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield
        await transaction.rollback()


@pytest.mark.parametrize("outage", [sqlite_locked, sqlite_full])
async def test_sqlite_that_cannot_be_written_to_is_waited_for(sqlite_url: str, amqp_url: str, outage: Outage):
    async with Database.open(sqlite_url) as database:
        await migrate(database, PACKAGE)
        async with inbound_ingest(database, amqp_url) as ingest, http_ingest(database) as http:
            await survives(amqp_url, ingest, http, outage(database))


async def test_a_locked_table_is_waited_for(postgres_url: str, amqp_url: str):
    async with Database.open(postgres_url) as database, Database.open(postgres_url) as other:
        await migrate(database, PACKAGE)
        async with inbound_ingest(database, amqp_url) as ingest, http_ingest(database) as http:
            await survives(amqp_url, ingest, http, table_locked(other))


async def test_a_database_server_that_crashes_is_waited_for(breakable_postgres: BreakablePostgres, amqp_url: str):
    @asynccontextmanager
    async def crashed() -> AsyncIterator[None]:
        await asyncio.to_thread(breakable_postgres.stop_immediately)
        yield
        await asyncio.to_thread(breakable_postgres.start)

    breakable_postgres.drop_database("crashing")
    async with Database.open(breakable_postgres.create_database("crashing")) as database:
        await migrate(database, PACKAGE)
        async with inbound_ingest(database, amqp_url) as ingest, http_ingest(database) as http:
            await survives(amqp_url, ingest, http, crashed())


async def test_sessions_that_are_terminated_under_load_lose_nothing(postgres_url: str, amqp_url: str):
    sent = [standard() for _ in range(500)]
    async with Database.open(postgres_url) as database, Database.open(postgres_url) as other:
        await migrate(database, PACKAGE)
        async with inbound_ingest(database, amqp_url) as ingest, http_ingest(database) as http:
            publishing = asyncio.create_task(publish_fast(amqp_url, sent, producer="acme", in_flight=25))
            answers = []
            while not publishing.done():
                await end_sessions(other)
                answers += await asyncio.gather(*(http.post(standard()) for _ in range(5)))
            await publishing
            await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
            created = sum(answer.status_code == 201 for answer in answers)
            assert {answer.status_code for answer in answers} <= {201, 503}
            await ingest.stored(len(sent) + created)
            head = (await ingest.store.head()).seq
    assert len(sent) + created <= head <= len(sent) + len(answers), "a 503 may have been stored, a 201 must have been"
    assert await waiting(amqp_url, "signals.dead") == 0


async def end_sessions(database: Database) -> None:
    async with database.writing() as session:
        await session.exec(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


@asynccontextmanager
async def away(database: Database) -> AsyncIterator[None]:
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE signal_log_head RENAME TO elsewhere"))
    yield
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE elsewhere RENAME TO signal_log_head"))


async def test_twenty_consumer_deaths_dead_letter_nothing(sqlite_database: Database, amqp_url: str):
    parts = urlsplit(amqp_url)
    async with TcpProxy(parts.port or 5672) as proxy:
        url = parts._replace(netloc=f"{parts.username}:{parts.password}@{parts.hostname}:{proxy.port}").geturl()
        async with inbound_ingest(sqlite_database, url) as ingest:
            async with away(sqlite_database):
                await publish_fast(amqp_url, [standard() for _ in range(50)], producer="acme")
                for _ in range(20):
                    consumer = ingest.inbound._consumer
                    await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 50)
                    proxy.reset_all()
                    await eventually(lambda consumer=consumer: ingest.inbound._consumer not in {None, consumer})
            await ingest.stored(50)
            await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
    assert (await waiting(amqp_url, "signals.inbound"), await waiting(amqp_url, "signals.dead")) == (0, 0)
    assert await ledger.verify(ingest.store) == ledger.Verdict(50, 50)


@pytest.fixture
def impatient_broker(breakable_broker: BreakableBroker) -> Iterator[BreakableBroker]:
    """A broker that takes messages back after a second, and looks every half."""
    set_environment = "application:set_env(rabbit, {}, {})."
    breakable_broker.ctl("eval", set_environment.format("channel_tick_interval", 500))
    breakable_broker.ctl("eval", set_environment.format("consumer_timeout", 1000))
    yield breakable_broker
    breakable_broker.ctl("eval", set_environment.format("channel_tick_interval", 60_000))
    breakable_broker.ctl("eval", set_environment.format("consumer_timeout", 1_800_000))


async def test_the_brokers_consumer_timeout_is_survived(sqlite_database: Database, impatient_broker: BreakableBroker):
    url = impatient_broker.url
    async with inbound_ingest(sqlite_database, url) as ingest:
        consumers = {ingest.inbound._consumer}
        async with away(sqlite_database):
            await publish_fast(url, [standard() for _ in range(30)], producer="acme")

            def timed_out_twice() -> bool:
                consumers.add(ingest.inbound._consumer)
                return len(consumers - {None}) >= 3

            await eventually(timed_out_twice)
        await ingest.stored(30)
        await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
    assert (await waiting(url, "signals.inbound"), await waiting(url, "signals.dead")) == (0, 0)
