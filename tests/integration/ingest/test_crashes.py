"""Ingest as real processes that die, freeze and fall behind: nothing accepted is lost, and nothing is in the log twice."""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.support.breakable import BreakableBroker
from tests.support.crashing import CRASHED, CrashingIngest, Edge
from tests.support.event_receiver import EventReceiver
from tests.support.http import async_http
from tests.support.ingest import KEYS, SERVICE_KEY, SYNC, eventually
from tests.support.producers import Submission, premium, publish_fast, standard
from tiercast_ingest import ledger
from tiercast_ingest.app import PACKAGE
from tiercast_ingest.store import SignalStore
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate

ROUNDS = int(os.environ.get("ROUNDS", "2"))
"""Deaths at each edge."""


def environment(database_url: str, amqp_url: str, **settings: str) -> dict[str, str]:
    return {
        "INGEST_DATABASE_URL": database_url,
        "INGEST_AMQP_URL": amqp_url,
        "SERVICE_KEY": SERVICE_KEY,
        "INGEST_API_KEYS": json.dumps(KEYS),
        "INGEST_TRUSTED_PUBLISHERS": httpx.URL(amqp_url).username,
        **settings,
    }


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url) as database:
        await migrate(database, PACKAGE)
        yield database


@pytest.fixture
def replica(database: Database, database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[CrashingIngest]:
    replica = CrashingIngest("ingest", environment(database_url, amqp_url), tmp_path / "ingest.log")
    yield replica
    replica.stop()


class Producer:
    """Sends one signal after another over HTTP, and remembers those that were not answered by success."""

    def __init__(self, url: str) -> None:
        self.accepted: dict[str, str] = {}
        """Wire ids by the producer's."""
        self.unsettled: list[Submission] = []
        self._client = async_http(base_url=url, headers={"X-API-Key": KEYS["acme"]}, timeout=10)

    async def send(self, submission: Submission) -> None:
        try:
            answer = await self._client.post(f"{SYNC}/signal", json=submission)
        except httpx.HTTPError:
            self.unsettled.append(submission)
            await asyncio.sleep(0.1)
            return
        if answer.is_success:
            self.accepted[str(submission["signal_id"])] = answer.json()["external_signal_id"]
        else:
            assert answer.status_code == 503, answer.text
            self.unsettled.append(submission)

    async def send_until(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            await self.send(random.choice([standard, premium])())
            await asyncio.sleep(0.005)
        await self._client.aclose()

    async def settle(self) -> None:
        """Send the unsettled ones again, as a producer does after a time-out."""
        again, self.unsettled = self.unsettled, []
        async with async_http(base_url=self._client.base_url, headers=self._client.headers) as self._client:
            for submission in again:
                await self.send(submission)
        assert self.unsettled == []


@asynccontextmanager
async def load(replica: CrashingIngest, amqp_url: str) -> AsyncIterator[tuple[Producer, list[Submission]]]:
    """Producers over HTTP and AMQP, for as long as the block runs."""
    http, over_amqp, ended = Producer(replica.url), [], asyncio.Event()

    async def publish() -> None:
        while not ended.is_set():
            batch = [standard() for _ in range(5)]
            await publish_fast(amqp_url, batch, producer="acme")
            over_amqp.extend(batch)
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as group:
        group.create_task(http.send_until(ended))
        group.create_task(publish())
        try:
            yield http, over_amqp
        finally:
            ended.set()


@asynccontextmanager
async def sending(producer: Producer) -> AsyncIterator[Producer]:
    """Have it send for as long as the block runs; the block ends with its error, if it meets one."""
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(producer.send_until(ended))
        try:
            yield producer
        finally:
            ended.set()


async def becomes_true(condition: Callable[[], Awaitable[bool]], within: float = 30) -> None:
    """Ask until the answer is yes."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what another process did tells nobody
            await asyncio.sleep(0.02)


async def free_lease(database: Database) -> None:
    """Spare the test the three seconds until a dead holder's lease ends."""
    async with database.writing() as session:
        await session.exec(text("UPDATE signal_log_publisher SET until = 0"))


async def test_at_whatever_edge_ingest_dies_nothing_is_lost_and_nothing_is_twice(
    database: Database, replica: CrashingIngest, amqp_url: str
):
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    edges = [edge for edge in Edge for _ in range(ROUNDS)]
    rng.shuffle(edges)
    await asyncio.to_thread(replica.start)  # declares the queue that producers need
    async with EventReceiver.open(amqp_url) as receiver:
        async with load(replica, amqp_url) as (http, over_amqp):
            replica.kill()
            for edge in edges:
                await free_lease(database)
                replica.spawn_crashing(edge, rng.randint(1, 12))
                assert await replica.ended() == CRASHED, replica.tail()
        await free_lease(database)
        await asyncio.to_thread(replica.start)
        await http.settle()
        sent = {str(submission["signal_id"]) for submission in over_amqp} | http.accepted.keys()
        store = SignalStore(database)

        async def all_stored() -> bool:
            return (await store.head()).seq >= len(sent)

        await becomes_true(all_stored)
        head = await store.head()
        await eventually(lambda: set(receiver.seqs) == set(range(1, head.seq + 1)))
    entries = [entry for start in range(0, head.seq, 1000) for entry in (await store.entries_after(start, 1000))[1]]
    assert len(entries) == len(sent), "each once"
    assert {entry.signal_id for entry in entries} == sent
    wire_ids = {entry.signal_id: entry.id for entry in entries}
    assert all(wire_ids[signal_id] == wire_id for signal_id, wire_id in http.accepted.items())
    assert (await ledger.verify(store)).breaks == []
    bodies = {entry.seq: entry.body for entry in entries}
    assert all(message.body == bodies[seq] for seq, message in zip(receiver.seqs, receiver.signals, strict=True))
    first = list(dict.fromkeys(receiver.seqs))
    assert first == sorted(first), "a position comes first after all before it came"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_frozen_holder_is_replaced_and_harmless_when_it_wakes(
    database: Database, replica: CrashingIngest, database_url: str, amqp_url: str, tmp_path: Path
):
    other = CrashingIngest("ingest", environment(database_url, amqp_url), tmp_path / "other.log")
    store = SignalStore(database)
    try:
        await asyncio.to_thread(replica.start)
        async with EventReceiver.open(amqp_url) as receiver:
            first = (await store.publication()).holder
            assert first is not None
            other.spawn()
            await other.ready()

            async def replaced() -> bool:
                return (await store.publication()).holder not in {None, first}

            async with sending(Producer(other.url)) as producer:
                await eventually(lambda: len(receiver.seqs) > 20)
                replica.pause()
                await becomes_true(replaced)
                seen = len(receiver.seqs)
                await eventually(lambda: len(receiver.seqs) > seen + 20)
                replica.resume()
                seen = len(receiver.seqs)
                await eventually(lambda: len(receiver.seqs) > seen + 20)
            await producer.settle()
            head = await store.head()
            await eventually(lambda: set(receiver.seqs) == set(range(1, head.seq + 1)))
            receiver.assert_harmless_repeats()
            assert await replaced()
            await eventually(lambda: "publishing interrupted" in replica.log.read_text())
    finally:
        replica.resume()
        other.stop()
        print(replica.tail(), other.tail(), sep="\n---\n")
    assert head.seq == len(producer.accepted)


async def test_with_too_much_unpublished_nothing_more_is_taken_until_it_is_published(
    database: Database, database_url: str, amqp_url: str, tmp_path: Path
):
    settings = environment(database_url, amqp_url, INGEST_BACKLOG_LIMIT="20")
    replica = CrashingIngest("ingest", settings, tmp_path / "ingest.log")
    async with database.writing() as session:  # a holder that never publishes
        await session.exec(text("UPDATE signal_log_publisher SET holder = 'nobody', until = 1e12"))
    store = SignalStore(database)
    try:
        await asyncio.to_thread(replica.start)
        async with async_http(base_url=replica.url, headers={"X-API-Key": KEYS["acme"]}) as client:

            async def refused() -> bool:
                return (await client.post(f"{SYNC}/signal", json=standard())).status_code != 201

            await becomes_true(refused)
            answer = await client.post(f"{SYNC}/signal", json=standard())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "signals wait to be published" in answer.json()["detail"]
            stored = (await store.head()).seq
            assert stored >= 20
            await publish_fast(amqp_url, [standard() for _ in range(10)], producer="acme")
            await asyncio.sleep(0.5)
            assert (await store.head()).seq == stored, "neither over HTTP nor over AMQP"
            async with EventReceiver.open(amqp_url) as receiver:
                await free_lease(database)
                await eventually(lambda: receiver.seqs == list(range(1, stored + 11)), within=30)
                assert (await client.post(f"{SYNC}/signal", json=standard())).status_code == 201
    finally:
        replica.stop()


async def test_while_the_broker_blocks_publishers_signals_are_stored_and_the_replica_is_ready(
    database: Database, database_url: str, breakable_broker: BreakableBroker, tmp_path: Path
):
    broker = breakable_broker
    replica = CrashingIngest("ingest", environment(database_url, broker.url), tmp_path / "ingest.log")
    store = SignalStore(database)
    try:
        async with EventReceiver.open(broker.url) as receiver:
            await asyncio.to_thread(replica.start)
            await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.000001")
            async with async_http(base_url=replica.url, headers={"X-API-Key": KEYS["acme"]}) as client:

                async def piles_up() -> bool:
                    assert (await client.post(f"{SYNC}/signal", json=standard())).status_code == 201
                    publication = await store.publication()
                    return publication.head - publication.published >= 10

                await becomes_true(piles_up)
                ready = await client.get("/readyz")
                assert (ready.status_code, ready.json()) == (200, {"ready": True, "missing": {}})
            await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.4")
            last = (await store.head()).seq
            await eventually(lambda: receiver.seqs[-1:] == [last], within=30)
            assert receiver.seqs == list(range(1, last + 1))
    finally:
        await asyncio.to_thread(broker.ctl, "set_vm_memory_high_watermark", "0.4")
        replica.stop()
