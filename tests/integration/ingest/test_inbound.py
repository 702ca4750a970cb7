"""Messages from a real RabbitMQ: stored and acknowledged, or with the dead letters."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from sqlalchemy import text

from tests.support.ingest import close_connections, eventually, http_ingest, inbound_ingest
from tests.support.producers import AmqpProducer, premium, publish_fast, standard
from tests.support.rabbitmq import VirtualHost
from tiercast_ingest import ledger
from tiercast_shared.eventlog.database import Database

INBOUND = "signals.inbound"
DEAD = "signals.dead"


class Queues:
    """A look at the two queues."""

    def __init__(self, connection: aio_pika.abc.AbstractConnection) -> None:
        self._connection = connection
        self._looking: aio_pika.abc.AbstractChannel | None = None
        """One for many looks: a number that is opened again just after it was closed may cost the connection."""

    async def ready(self, name: str) -> int:
        """Messages that wait."""
        if self._looking is None:
            self._looking = await self._connection.channel()
        try:
            return (await self._looking.declare_queue(name, passive=True)).declaration_result.message_count or 0
        except ChannelNotFoundEntity:
            self._looking = None  # the broker has closed it
            return 0

    async def wait_for(self, name: str, count: int, within: float = 20) -> None:
        """Wait until `count` messages wait."""
        async with asyncio.timeout(within):
            while await self.ready(name) != count:  # noqa: ASYNC110 - only the broker knows
                await asyncio.sleep(0.02)

    async def take_dead(self, count: int) -> list[AbstractIncomingMessage]:
        """Take `count` dead letters."""
        await self.wait_for(DEAD, count)
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(DEAD)
            return [await queue.get(no_ack=True) for _ in range(count)]


@pytest.fixture
async def queues(amqp_url: str) -> AsyncIterator[Queues]:
    async with await aio_pika.connect(amqp_url) as connection:
        yield Queues(connection)


async def test_a_message_is_stored_and_acknowledged(database: Database, amqp_url: str, queues: Queues):
    sent = premium()
    async with inbound_ingest(database, amqp_url) as ingest:
        with AmqpProducer(amqp_url) as producer:
            producer.publish(sent, producer="acme", correlation_id="my-id")
        await ingest.stored(1)
        await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
        assert ingest.metric("signals_accepted_total", transport="amqp", type="PREMIUM") == 1
        _, (entry,) = await ingest.store.entries_after(0, 10)
    assert (entry.producer, entry.signal_id, entry.correlation_id) == ("acme", sent["signal_id"], "my-id")
    assert await queues.ready(INBOUND) == 0, "nothing came back when the consumer ended"


def poison() -> dict[str, tuple[object, dict[str, object]]]:
    """Bodies and properties, by the reason they are refused for."""
    unsigned = standard() | {"entry_price": 1.25}
    return {
        "invalid_json": (b"{nope", {}),
        "invalid_field": (standard() | {"symbol": "?"}, {}),
        "hash_mismatch": (unsigned, {}),
        "too_large": (b" " * 70_000, {}),
        "message_id_mismatch": (standard(), {"message_id": "another"}),
        "no_user_id": (standard(), {"user_id": None}),
        "invalid_producer": (standard(), {"headers": {"x-producer": 7}}),
    }


async def test_poison_of_each_kind_is_dead_lettered_with_its_reason_and_blocks_nothing(
    database: Database, amqp_url: str, queues: Queues
):
    kinds = poison()
    async with inbound_ingest(database, amqp_url) as ingest:
        with AmqpProducer(amqp_url) as producer:
            for body, properties in kinds.values():
                producer.publish(standard())
                producer.publish(body, **properties)
            producer.publish(standard())
        await ingest.stored(len(kinds) + 1)
        letters = {letter.headers["x-reason"]: letter for letter in await queues.take_dead(len(kinds))}
        await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
        assert all(ingest.metric("messages_dead_lettered_total", reason=reason) == 1 for reason in kinds)
        assert (await ingest.store.head()).seq == len(kinds) + 1
    assert set(letters) == set(kinds)
    for reason, (body, _) in kinds.items():
        expected = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert letters[reason].body == expected
        assert letters[reason].delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert letters["invalid_field"].headers["x-error"] == "symbol: may hold only letters, digits and . / - _ : ^ ="
    assert letters["invalid_field"].headers["x-producer"] == "demo"
    assert letters["invalid_field"].headers["x-user-id"] == urlsplit(amqp_url).username
    assert "x-producer" not in letters["no_user_id"].headers


async def test_a_changed_copy_is_dead_lettered_and_an_equal_one_is_acknowledged(
    database: Database, amqp_url: str, queues: Queues
):
    sent = standard(entry_price=1.5)
    changed = standard(signal_id=sent["signal_id"], entry_price=2.5)
    async with inbound_ingest(database, amqp_url) as ingest:
        with AmqpProducer(amqp_url) as producer:
            for each in (sent, sent, changed):
                producer.publish(each)
        (letter,) = await queues.take_dead(1)
        await eventually(lambda: ingest.metric("signals_duplicates_total", transport="amqp") == 1)
        assert (await ingest.store.head()).seq == 1
    assert letter.headers["x-reason"] == "conflict"
    assert json.loads(letter.body) == changed
    assert await queues.ready(INBOUND) == 0


async def test_one_signal_over_http_and_amqp_is_stored_once(database: Database, amqp_url: str):
    sent = standard()
    async with inbound_ingest(database, amqp_url) as ingest, http_ingest(database) as http:
        assert (await http.post(sent)).status_code == 201
        with AmqpProducer(amqp_url) as producer:
            producer.publish(sent, producer="acme")
        await eventually(lambda: ingest.metric("signals_duplicates_total", transport="amqp") == 1)
        assert (await ingest.store.head()).seq == 1


async def test_only_a_trusted_user_speaks_for_a_producer(database: Database, virtual_host: VirtualHost, queues: Queues):
    mallory = virtual_host.url_for("mallory")
    async with inbound_ingest(database, virtual_host.url) as ingest:
        with AmqpProducer(mallory) as producer:
            producer.publish(standard(), producer="acme")
        await ingest.stored(1)
        _, (entry,) = await ingest.store.entries_after(0, 10)
    assert entry.producer == "mallory"


async def test_properties_that_cannot_be_decoded_block_nothing(
    sqlite_database: Database, amqp_url: str, queues: Queues
):
    async with inbound_ingest(sqlite_database, amqp_url) as ingest:
        with AmqpProducer(amqp_url) as producer:
            producer.publish(standard(), message_id=b"\xff\xfe" * 100)
            producer.publish(standard(), timestamp=2**62)
            producer.publish(standard())
        await ingest.stored(2)
        (letter,) = await queues.take_dead(1)
    assert letter.headers["x-reason"] == "message_id_mismatch"


async def test_while_the_database_is_away_nothing_is_acknowledged_or_dead_lettered(
    database: Database, amqp_url: str, queues: Queues
):
    async with inbound_ingest(database, amqp_url, prefetch=10) as ingest:
        async with database.writing() as session:
            await session.exec(text("ALTER TABLE signal_log_head RENAME TO elsewhere"))
        await publish_fast(amqp_url, [standard() for _ in range(30)], producer="acme")
        await queues.wait_for(INBOUND, 20)
        await eventually(lambda: (ingest.metric("signals_postponed_total", transport="amqp") or 0) >= 20)
        assert await queues.ready(INBOUND) == 20, "no more is taken than the prefetch allows"
        assert ingest.inbound.problem() is None
        async with database.writing() as session:
            await session.exec(text("ALTER TABLE elsewhere RENAME TO signal_log_head"))
        await ingest.stored(30)
    assert (await queues.ready(INBOUND), await queues.ready(DEAD)) == (0, 0)


async def test_a_deleted_queue_is_declared_again_and_consumed(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url) as ingest, await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.queue_delete(INBOUND)
        await eventually(lambda: ingest.inbound.problem() is not None, within=3)
        assert "not consuming signals.inbound" in (ingest.inbound.problem() or "")
        await eventually(lambda: ingest.inbound.problem() is None)
        with AmqpProducer(amqp_url) as producer:
            producer.publish(standard())
        await ingest.stored(1)


async def test_a_channel_error_ends_one_consumer_and_the_next_goes_on(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url) as ingest:
        consumer = ingest.inbound._consumer
        await consumer._channel.basic_ack(4711)  # an unknown tag: the broker closes the channel
        await eventually(lambda: ingest.inbound._consumer not in {None, consumer})
        with AmqpProducer(amqp_url) as producer:
            producer.publish(standard())
        await ingest.stored(1)


async def test_a_connection_that_the_broker_closes_is_made_again(sqlite_database: Database, virtual_host: VirtualHost):
    async with inbound_ingest(sqlite_database, virtual_host.url) as ingest:
        consumer = ingest.inbound._consumer
        await close_connections(virtual_host, "ingest inbound")
        await eventually(lambda: ingest.inbound._consumer not in {None, consumer})
        with AmqpProducer(virtual_host.url) as producer:
            producer.publish(standard())
        await ingest.stored(1)


async def test_a_stop_finishes_what_is_in_flight(database: Database, amqp_url: str, queues: Queues):
    async with inbound_ingest(database, amqp_url, prefetch=50) as ingest:
        await publish_fast(amqp_url, [standard() for _ in range(500)], producer="acme")
    stored = (await ingest.store.head()).seq
    await queues.wait_for(INBOUND, 500 - stored)
    async with inbound_ingest(database, amqp_url) as ingest:
        await ingest.stored(500)
        await eventually(lambda: ingest.metric("inbound_in_flight_messages") == 0)
        assert ingest.metric("signals_duplicates_total", transport="amqp") == 0, "all that was stored was acknowledged"
    assert (await ledger.verify(ingest.store)).entries == 500


async def test_dead_letters_wait_for_a_broker_that_has_lost_their_queue(
    sqlite_database: Database, amqp_url: str, queues: Queues
):
    async with inbound_ingest(sqlite_database, amqp_url), await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        with AmqpProducer(amqp_url) as producer:
            producer.publish(b"first", message_id="1")
            await queues.wait_for(DEAD, 1)
            await channel.queue_delete(DEAD)
            producer.publish(b"second", message_id="2")
        (letter,) = await queues.take_dead(1)
    assert letter.body == b"second"
    assert await queues.ready(INBOUND) == 0
