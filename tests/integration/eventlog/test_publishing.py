"""Publishing a real log to a real RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import aio_pika
import orjson
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from sqlalchemy import delete, text, update
from sqlalchemy.orm import Session
from sqlmodel import col, select

from tests.support.ingest import Submitter, close_connections, eventually
from tests.support.producers import premium, standard
from tests.support.rabbitmq import VirtualHost
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogEntry, SignalLogHead, SignalLogPublisher
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.signals import SignalEventHeaders
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import PublisherLease
from tiercast_shared.eventlog.publisher import LogEvent, Publisher
from tiercast_shared.eventlog.triggers import drop_append_only
from tiercast_shared.messaging.broker import OutgoingEvent, Outlet
from tiercast_shared.messaging.topology import SIGNALS_EVENTS, declare_events


class Observed:
    """Remembers what a publisher did."""

    def __init__(self) -> None:
        self.held = False
        self.seqs: list[int] = []

    def holding(self, held: bool) -> None:
        self.held = held

    def published(self, events: Sequence[LogEvent], _at: float) -> None:
        self.seqs += [event.seq for event in events]


class Receiver:
    """A queue bound to the exchange."""

    def __init__(self) -> None:
        self.signals: list[AbstractIncomingMessage] = []
        self.beacons: list[Beacon] = []

    async def take(self, message: AbstractIncomingMessage) -> None:
        if message.headers["type"] == "beacon":
            self.beacons.append(Beacon.model_validate_json(message.body))
        else:
            self.signals.append(message)

    @property
    def seqs(self) -> list[object]:
        return [message.headers["seq"] for message in self.signals]


@pytest.fixture
async def receiver(amqp_url: str) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(await declare_events(channel, SIGNALS_EVENTS))
        await queue.consume(receiver.take, no_ack=True)
        yield receiver


@asynccontextmanager
async def publishing(
    database: Database, url: str, holder: str = "one", *, crash: bool = False
) -> AsyncIterator[tuple[Publisher, Observed]]:
    """Run a publisher; at the end it stops in order, or (`crash`) without giving its lease up."""
    observed = Observed()
    lease = PublisherLease(database, SignalLogPublisher, holder)
    publisher = Publisher(
        SignalStore(database), lease, partial(Outlet.open, url, SIGNALS_EVENTS, name=f"publisher {holder}"), observed
    )
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher, observed
    finally:
        if crash:
            lease.holder = "nobody"
        task.cancel()
        await asyncio.wait([task])


async def test_events_arrive_in_order_with_the_stored_bytes_and_their_place(
    database: Database, submitter: Submitter, store: SignalStore, receiver: Receiver, amqp_url: str
):
    await submitter.commit(standard(), premium(symbol="btc/usd"), standard())
    async with publishing(database, amqp_url):
        await eventually(lambda: receiver.seqs == [1, 2, 3])
    head, entries = await store.entries_after(0, 10)
    assert [message.body for message in receiver.signals] == [entry.body for entry in entries]
    for message, entry in zip(receiver.signals, entries, strict=True):
        headers = SignalEventHeaders.model_validate(message.headers)
        assert (headers.epoch, headers.standard_seq) == (head.epoch, entry.standard_seq)
        assert (headers.feed, headers.symbol) == (entry.feed, entry.symbol)
        assert (headers.received_at, headers.committed_at) == (entry.received_at, entry.committed_at)
        assert headers.published_at >= headers.committed_at
        assert (message.message_id, message.correlation_id) == (entry.id, entry.correlation_id)
        assert message.type == "signal.published"
    assert "standard_seq" not in receiver.signals[1].headers


async def test_what_is_offered_is_published_at_once(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    async with publishing(database, amqp_url) as (publisher, observed):
        await eventually(lambda: observed.held)
        for _ in range(5):
            await submitter.commit(standard(), premium())
            publisher.offer(submitter.heads[-1], submitter.announced[-2:])
        await eventually(lambda: len(receiver.seqs) == 10)
    assert receiver.seqs == list(range(1, 11))
    assert observed.seqs == list(range(1, 11))


async def test_a_beacon_comes_every_second_and_names_what_is_published(
    database: Database, submitter: Submitter, store: SignalStore, receiver: Receiver, amqp_url: str
):
    await submitter.commit(standard())
    async with publishing(database, amqp_url):
        await eventually(lambda: bool(receiver.beacons) and receiver.beacons[-1].head == 1)
    assert receiver.beacons[-1].epoch == (await store.head()).epoch
    assert receiver.beacons[-1].committed == 1


async def test_a_crashed_publisher_is_followed_by_another_when_its_lease_ends(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    await submitter.commit(standard())
    async with publishing(database, amqp_url, "one", crash=True):
        await eventually(lambda: receiver.seqs == [1])
    await submitter.commit(standard())
    async with publishing(database, amqp_url, "two") as (_, two):
        await asyncio.sleep(0.3)
        assert not two.held, "the lease has not ended yet"
        await eventually(lambda: two.held, within=8)
        await eventually(lambda: receiver.seqs[-1] == 2)
    assert receiver.seqs in ([1, 2], [1, 1, 2])


async def test_an_orderly_stop_hands_over_at_once_and_repeats_nothing(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    await submitter.commit(standard())
    async with publishing(database, amqp_url, "one"):
        await eventually(lambda: receiver.seqs == [1])
    await submitter.commit(standard())
    async with publishing(database, amqp_url, "two"):
        await eventually(lambda: receiver.seqs == [1, 2], within=2)


async def test_what_is_published_again_has_the_same_place_and_bytes(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    await submitter.commit(standard(), premium())
    async with publishing(database, amqp_url):
        await eventually(lambda: receiver.seqs == [1, 2])
    async with database.writing() as session:
        await session.exec(text("UPDATE signal_log_publisher SET published = 0"))
    async with publishing(database, amqp_url):
        await eventually(lambda: len(receiver.seqs) == 4)
    first, again = receiver.signals[:2], receiver.signals[2:]
    assert [message.body for message in again] == [message.body for message in first]
    varying = {"published_at"}
    assert [{k: v for k, v in message.headers.items() if k not in varying} for message in again] == [
        {k: v for k, v in message.headers.items() if k not in varying} for message in first
    ]


async def test_of_two_publishers_one_publishes(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    async with (
        publishing(database, amqp_url, "one") as (one, first),
        publishing(database, amqp_url, "two") as (two, other),
    ):
        await eventually(lambda: first.held or other.held)
        for _ in range(10):
            await submitter.commit(standard())
            for publisher in (one, two):
                publisher.offer(submitter.heads[-1], submitter.announced[-1:])
        await eventually(lambda: len(receiver.seqs) == 10)
        assert first.held is not other.held
    assert receiver.seqs == list(range(1, 11))


async def test_a_lost_connection_loses_nothing(
    database: Database, submitter: Submitter, receiver: Receiver, virtual_host: VirtualHost
):
    async with publishing(database, virtual_host.url) as (publisher, observed):
        await eventually(lambda: observed.held)
        cut = asyncio.create_task(close_connections(virtual_host, "publisher one"))
        while not cut.done():
            await submitter.commit(standard())
            publisher.offer(submitter.heads[-1], submitter.announced[-1:])
            await asyncio.sleep(0.01)
        await submitter.commit(standard())
        last = submitter.heads[-1].seq
        await eventually(lambda: bool(receiver.seqs) and receiver.seqs[-1] == last)
    assert sorted(set(receiver.seqs)) == list(range(1, last + 1))
    bodies: dict[object, bytes] = {}
    for message in receiver.signals:
        assert bodies.setdefault(message.headers["seq"], message.body) == message.body


async def test_a_large_batch_with_bodies_larger_than_a_frame_arrives_whole_and_in_order(
    receiver: Receiver, amqp_url: str
):
    bodies = [orjson.dumps({"n": number, "pad": "x" * (number % 3) * 200_000}) for number in range(60)]
    events = [OutgoingEvent(body, {"type": "test", "seq": seq}, f"m{seq}") for seq, body in enumerate(bodies, 1)]
    async with Outlet.open(amqp_url, SIGNALS_EVENTS, name="test") as outlet:
        await outlet.publish(events)
        await outlet.publish([])
    await eventually(lambda: len(receiver.signals) == len(bodies))
    assert [message.body for message in receiver.signals] == bodies


async def test_two_batches_at_once_are_both_confirmed(receiver: Receiver, amqp_url: str):
    def batch(start: int) -> list[OutgoingEvent]:
        return [OutgoingEvent(b"{}", {"type": "test", "seq": start + place}) for place in range(300)]

    async with Outlet.open(amqp_url, SIGNALS_EVENTS, name="test") as outlet:
        await asyncio.gather(outlet.publish(batch(0)), outlet.publish(batch(300)))
    await eventually(lambda: len(receiver.signals) == 600)
    assert receiver.seqs == list(range(600))


async def test_publishing_over_a_dead_connection_says_so(virtual_host: VirtualHost):
    async def publish_until_it_fails(outlet: Outlet) -> None:
        async with asyncio.timeout(10):
            while True:
                await outlet.publish([OutgoingEvent(b"{}", {"type": "test"})])

    async with Outlet.open(virtual_host.url, SIGNALS_EVENTS, name="to be closed") as outlet:
        publishing = asyncio.create_task(publish_until_it_fails(outlet))
        await close_connections(virtual_host, "to be closed")
        with pytest.raises((AMQPError, ChannelInvalidStateError, ConnectionError)):
            await publishing


async def restore(database: Database, seq: int) -> None:
    """Make the log what a backup of when it ended at `seq` would."""

    def without_triggers(session: Session) -> None:
        drop_append_only(session.connection(), "signal_log")

    async with database.writing() as session:
        await session.run_sync(without_triggers)
        last = (await session.exec(select(SignalLogEntry).where(SignalLogEntry.seq == seq))).one()
        await session.exec(delete(SignalLogEntry).where(col(SignalLogEntry.seq) > seq))
        ends = {"seq": seq, "chain": last.chain, "standard_seq": seq, "standard_chain": last.standard_chain}
        await session.exec(update(SignalLogHead).values(**ends))
        await session.exec(update(SignalLogPublisher).values(published=seq))


async def test_a_log_that_was_restored_shorter_is_published_from_where_it_ends(
    database: Database, submitter: Submitter, receiver: Receiver, amqp_url: str
):
    """What was published before is in memory still, in the very positions that new signals get now."""
    async with publishing(database, amqp_url) as (publisher, observed):
        await eventually(lambda: observed.held)
        await submitter.commit(*(standard() for _ in range(5)))
        publisher.offer(submitter.heads[-1], submitter.announced)
        await eventually(lambda: receiver.seqs == [1, 2, 3, 4, 5] and receiver.beacons[-1].head == 5)
        while (await SignalStore(database).publication()).published < 5:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.01)
        await restore(database, 3)
        await submitter.commit(standard(), standard())
        new = submitter.announced[-2:]
        publisher.offer(submitter.heads[-1], new)
        await eventually(lambda: len(receiver.signals) >= 7)
        assert [(message.headers["seq"], message.body) for message in receiver.signals[5:7]] == [
            (event.seq, event.body) for event in new
        ]
        assert [event.seq for event in new] == [4, 5]
