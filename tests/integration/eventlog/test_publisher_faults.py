"""Publishing while brokers block, databases end sessions, and other replicas commit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
from sqlalchemy import text

from tests.support.breakable import BreakableBroker
from tests.support.event_receiver import EventReceiver
from tests.support.ingest import Submitter, eventually
from tests.support.producers import standard
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogHead, SignalLogPublisher
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import LEASE_SECONDS, PublisherLease
from tiercast_shared.eventlog.listener import CommitListener
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent, Publisher
from tiercast_shared.messaging import broker as broker_module
from tiercast_shared.messaging.broker import Outlet
from tiercast_shared.messaging.topology import SIGNALS_EVENTS
from tiercast_shared.serving import background


class Observed:
    """Remembers what a publisher did."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.seqs: list[int] = []

    def holding(self, held: bool) -> None:
        self.held.append(held)

    def published(self, events: Sequence[LogEvent], _at: float) -> None:
        self.seqs += [event.seq for event in events]


@asynccontextmanager
async def publishing(
    database: Database, url: str, listener: CommitListener | None = None
) -> AsyncIterator[tuple[Publisher, Observed]]:
    observed = Observed()
    publisher = Publisher(
        SignalStore(database),
        PublisherLease(database, SignalLogPublisher, "one"),
        partial(Outlet.open, url, SIGNALS_EVENTS, name="publisher one"),
        observed,
        poll_seconds=listener.poll_seconds if listener else lambda: 0.1,
    )
    async with background(publisher.run):
        await eventually(lambda: observed.held[-1:] == [True])
        yield publisher, observed


async def submit(submitter: Submitter, publisher: Publisher, count: int = 1) -> Head:
    for _ in range(count):
        await submitter.commit(standard())
        publisher.offer(submitter.heads[-1], submitter.announced[-1:])
    return submitter.heads[-1]


@pytest.fixture
def alarming_broker(breakable_broker: BreakableBroker) -> Iterator[BreakableBroker]:
    """A broker whose memory alarm the test may raise."""
    yield breakable_broker
    clear_alarm(breakable_broker)


def raise_alarm(broker: BreakableBroker) -> None:
    broker.ctl("set_vm_memory_high_watermark", "0.000001")


def clear_alarm(broker: BreakableBroker) -> None:
    broker.ctl("set_vm_memory_high_watermark", "0.4")


async def test_a_memory_alarm_is_waited_for_with_the_lease_held_and_nothing_published_twice(
    postgres_database: Database, alarming_broker: BreakableBroker, monkeypatch: pytest.MonkeyPatch
):
    submitter = Submitter(postgres_database)
    monkeypatch.setattr(broker_module, "PUBLISH_TIMEOUT", 1.0)  # several of them pass during the alarm
    async with (
        EventReceiver.open(alarming_broker.url) as receiver,
        publishing(postgres_database, alarming_broker.url) as (publisher, observed),
    ):
        await submit(submitter, publisher, 3)
        await eventually(lambda: receiver.seqs == [1, 2, 3])
        await asyncio.to_thread(raise_alarm, alarming_broker)
        beacons = len(receiver.beacons)
        until = time.monotonic() + LEASE_SECONDS + 2
        while time.monotonic() < until:
            await submit(submitter, publisher)
            await asyncio.sleep(0.05)
        assert observed.held[-1], "it publishes"
        assert publisher.backlog > 0, "the broker confirmed nothing"
        assert len(receiver.beacons) <= beacons + 2
        await asyncio.to_thread(clear_alarm, alarming_broker)
        last = submitter.heads[-1].seq
        await eventually(lambda: receiver.seqs[-1] == last)
    assert receiver.seqs == list(range(1, last + 1)), "in order, none lost, none twice"
    assert observed.held == [True, False]


async def test_a_broker_that_dies_while_it_blocks_is_connected_to_again(
    sqlite_database: Database, alarming_broker: BreakableBroker
):
    submitter = Submitter(sqlite_database)
    async with publishing(sqlite_database, alarming_broker.url) as (publisher, observed):
        await asyncio.to_thread(raise_alarm, alarming_broker)
        await submit(submitter, publisher, 5)
        await asyncio.sleep(1)
        assert publisher.backlog > 0
        await asyncio.to_thread(alarming_broker.kill)
        await eventually(lambda: observed.held[-1] is False)
        await asyncio.to_thread(alarming_broker.start)
        await eventually(lambda: observed.seqs == [1, 2, 3, 4, 5], within=30)


async def end_sessions(database: Database) -> None:
    """Terminate every other session of this database."""
    async with database.writing() as session:
        await session.exec(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


async def test_terminated_database_sessions_do_not_interrupt_publishing(
    postgres_url: str, postgres_database: Database, amqp_url: str
):
    submitter = Submitter(postgres_database)
    async with (
        EventReceiver.open(amqp_url) as receiver,
        Database.open(postgres_url) as apart,
        publishing(apart, amqp_url) as (publisher, observed),
    ):
        for _ in range(5):
            await submit(submitter, publisher)
            await end_sessions(postgres_database)
            await asyncio.sleep(0.3)  # several polls and saves, and in all some renewals
        last = await submit(submitter, publisher)
        await eventually(lambda: receiver.seqs[-1:] == [last.seq])
        assert observed.held[-1], "it publishes"
    assert receiver.seqs == list(range(1, last.seq + 1))


async def test_commits_of_another_process_are_heard_at_once_and_after_a_lost_session_again(
    postgres_url: str, postgres_database: Database, amqp_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tiercast_shared.eventlog.listener.LISTENING_POLL_SECONDS", 3600.0)  # only what is heard counts
    submitter = Submitter(postgres_database)
    async with Database.open(postgres_url) as apart, EventReceiver.open(amqp_url) as receiver:
        listener = CommitListener(apart, SignalLogHead)
        async with (
            publishing(apart, amqp_url, listener) as (publisher, _),
            background(lambda: listener.run(publisher.hint)),
        ):
            await eventually(lambda: listener.listening)
            for count in (1, 2, 3):
                await submitter.commit(standard())
                await eventually(lambda count=count: receiver.seqs == list(range(1, count + 1)))
            await end_sessions(postgres_database)
            await eventually(lambda: not listener.listening)
            await eventually(lambda: listener.listening)
            await submitter.commit(standard())
            await eventually(lambda: receiver.seqs == [1, 2, 3, 4])


async def test_on_sqlite_nothing_is_heard_and_the_log_is_looked_at_often(sqlite_database: Database):
    listener = CommitListener(sqlite_database, SignalLogHead)
    await listener.run(lambda _seq: None)
    assert listener.poll_seconds() == 0.1
