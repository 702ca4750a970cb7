"""The tiers service as a process, with a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import httpx
import pytest
from sqlalchemy import inspect

from tests.support.http import async_http
from tests.support.services import Service
from tests.support.tiers import ADMIN, ADMIN_KEY, SERVICE_KEY, set_tier
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate
from tiercast_shared.eventlog.publication import Publication
from tiercast_shared.messaging.topology import TIERS_EVENTS, declare_events
from tiercast_tiers.app import PACKAGE
from tiercast_tiers.store import TierStore
from tiercast_tiers.writer import TierLogWriter

UNREACHABLE_BROKER = "amqp://guest:guest@127.0.0.1:1/"
DEADLINE = 20.0

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""Starting a process takes a second: what does not depend on the database is tested on one."""

StartTiers = Callable[[str], Service]


@pytest.fixture
def start_tiers(database_url: str, tmp_path: Path) -> Iterator[StartTiers]:
    """Start a replica on the test's database, with the given broker; it is stopped at the end."""
    with ExitStack() as stack:

        def start(amqp_url: str) -> Service:
            replica = tiers_service(database_url, amqp_url, tmp_path / f"tiers-{len(started)}.log")
            started.append(replica)
            replica.spawn()
            stack.callback(replica.stop)
            return replica

        started: list[Service] = []
        yield start


def tiers_service(database_url: str, amqp_url: str, log: Path) -> Service:
    environment = {
        "TIERS_DATABASE_URL": database_url,
        "AMQP_URL": amqp_url,
        "TIERS_ADMIN_KEY": ADMIN_KEY,
        "SERVICE_KEY": SERVICE_KEY,
        "LOG_FORMAT": "json",
    }
    return Service("tiers", environment, log)


@dataclass
class Listener:
    """What a queue bound to `tiers.events` receives."""

    messages: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage]

    async def next(self, kind: str) -> aio_pika.abc.AbstractIncomingMessage:
        async with asyncio.timeout(DEADLINE):
            while True:
                message = await self.messages.get()
                if message.headers["type"] == kind:
                    return message


@pytest.fixture
async def listener(amqp_url: str) -> AsyncIterator[Listener]:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(await declare_events(channel, TIERS_EVENTS))
        messages: asyncio.Queue[aio_pika.abc.AbstractIncomingMessage] = asyncio.Queue()
        await queue.consume(messages.put, no_ack=True)
        yield Listener(messages)


async def put(replica: Service, user_id: str, tier: str, **headers: str) -> httpx.Response:
    async with async_http(base_url=replica.url, headers={**ADMIN, **headers}) as client:
        return await client.put(f"/api/v1/users/{user_id}/tier", json={"tier": tier})


async def test_a_tier_set_over_http_is_published_as_stored_with_its_correlation_id(
    start_tiers: StartTiers, store: TierStore, listener: Listener, amqp_url: str
):
    replica = start_tiers(amqp_url)
    await replica.ready()
    assert (await put(replica, "alice", "pro", **{"X-Request-ID": "trace-1"})).json()["version"] == 1
    event = await listener.next("tier.changed")
    head, (entry,) = await store.entries_after(0, 10)
    assert event.body == entry.body
    assert (event.correlation_id, entry.correlation_id) == ("trace-1", "trace-1")
    assert (event.headers["schema"], event.headers["epoch"], event.headers["seq"]) == (1, head.epoch, 1)
    assert entry.received_at <= entry.committed_at == event.headers["committed_at"] <= event.headers["published_at"]

    async with async_http(base_url=replica.url, headers=ADMIN) as client:
        await client.delete("/api/v1/users/alice/sessions")
    assert json.loads((await listener.next("session.revoked")).body)["user_id"] == "alice"
    while json.loads((await listener.next("beacon")).body)["head"] < 2:
        pass

    lines = [json.loads(line) for line in replica.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "tier changed"]
    assert (line["user_id"], line["previous_tier"], line["tier"], line["version"]) == ("alice", "starter", "pro", 1)
    assert (line["correlation_id"], line["actor"], line["reason"]) == ("trace-1", "admin", "set by admin")


async def test_what_a_command_writes_is_published_by_the_running_service(
    start_tiers: StartTiers, writer: TierLogWriter, listener: Listener, amqp_url: str
):
    await start_tiers(amqp_url).ready()
    await listener.next("beacon")
    await writer.commit([set_tier("bob", Tier.ELITE)])
    assert json.loads((await listener.next("tier.changed")).body)["user_id"] == "bob"


async def test_sigterm_ends_it_with_0_everything_published_and_the_lease_given_back(
    start_tiers: StartTiers, store: TierStore, listener: Listener, amqp_url: str
):
    replica = start_tiers(amqp_url)
    await replica.ready()
    await put(replica, "alice", "pro")
    await listener.next("tier.changed")
    assert (await store.publication()).holder is not None
    replica.terminate()
    assert await replica.ended() == 0
    assert await store.publication() == Publication(head=1, published=1, holder=None)
    assert "Traceback" not in replica.log.read_text()


@on_postgresql
async def test_a_standby_is_ready_and_goes_on_where_the_holder_stopped(
    start_tiers: StartTiers, store: TierStore, listener: Listener, amqp_url: str
):
    first = start_tiers(amqp_url)
    await first.ready()
    await listener.next("beacon")
    holder = (await store.publication()).holder
    second = start_tiers(amqp_url)
    await second.ready()
    await put(second, "alice", "pro")  # the standby takes changes, the holder publishes them
    assert (await listener.next("tier.changed")).headers["seq"] == 1
    assert (await store.publication()).holder == holder
    first.terminate()
    assert await first.ended() == 0
    await put(second, "alice", "elite")
    assert (await listener.next("tier.changed")).headers["seq"] == 2
    assert (await store.publication()).holder not in {None, holder}


@on_sqlite
async def test_without_a_broker_changes_are_kept_and_published_when_it_is_back(
    start_tiers: StartTiers, database: Database, listener: Listener, amqp_url: str
):
    lonely = start_tiers(UNREACHABLE_BROKER)
    await lonely.ready()
    assert (await put(lonely, "alice", "pro")).status_code == 200
    lonely.terminate()
    assert await lonely.ended() == 0
    start_tiers(amqp_url)
    assert json.loads((await listener.next("tier.changed")).body)["user_id"] == "alice"


@on_sqlite
async def test_a_client_that_leaves_in_mid_request_is_no_error_of_ours(start_tiers: StartTiers, database: Database):
    replica = start_tiers(UNREACHABLE_BROKER)
    await replica.ready()
    head = f"PUT /api/v1/users/a/tier HTTP/1.1\r\nHost: x\r\nX-Admin-Key: {ADMIN_KEY}\r\nContent-Length: 100\r\n\r\n{{"
    for _ in range(5):
        _reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
        writer.write(head.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await put(replica, "a", "pro")).status_code == 200
    replica.terminate()
    assert await replica.ended() == 0
    assert "Traceback" not in replica.log.read_text()


async def test_an_unmigrated_database_is_refused_with_the_command_and_left_alone(
    start_tiers: StartTiers, database_url: str
):
    replica = start_tiers(UNREACHABLE_BROKER)
    assert await replica.ended() == 78
    assert "run `tiercast-tiers migrate`" in replica.log.read_text()
    assert "Traceback" not in replica.log.read_text()
    async with Database.open(database_url) as untouched, untouched.engine.connect() as connection:
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == []


async def test_a_database_that_is_away_at_start_is_waited_for(tmp_path: Path):
    url = f"sqlite+aiosqlite:///{tmp_path}/later/test.db"
    replica = tiers_service(url, UNREACHABLE_BROKER, tmp_path / "log")
    replica.spawn()
    try:
        async with asyncio.timeout(DEADLINE):
            while "waiting for the database" not in _text(replica):  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.02)
        staging = tmp_path / "staging"
        staging.mkdir()
        async with Database.open(f"sqlite+aiosqlite:///{staging}/test.db") as database:
            await migrate(database, PACKAGE)
        staging.rename(tmp_path / "later")
        await replica.ready()
    finally:
        replica.stop()
    assert "Traceback" not in _text(replica)


def _text(replica: Service) -> str:
    return replica.log.read_text() if replica.log.exists() else ""
