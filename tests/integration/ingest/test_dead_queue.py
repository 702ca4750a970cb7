"""Looking at dead letters, replaying and dropping them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pika

from tests.support.ingest import eventually, inbound_ingest
from tests.support.producers import AmqpProducer, standard
from tests.support.rabbitmq import VirtualHost
from tiercast_ingest.dead_queue import DeadLetter, DeadQueue, dead_queue
from tiercast_ingest.settings import BrokerSettings
from tiercast_shared.eventlog.database import Database


@asynccontextmanager
async def dead_letters_of(url: str) -> AsyncIterator[DeadQueue]:
    async with dead_queue(BrokerSettings(INGEST_AMQP_URL=url)) as queue:
        yield queue


async def letters(url: str) -> list[DeadLetter]:
    async with dead_letters_of(url) as queue:
        return [letter async for letter in queue.letters()]


async def wait_for_letters(url: str, count: int) -> list[DeadLetter]:
    found = await letters(url)
    while len(found) != count:
        found = await letters(url)
    return found


async def test_letters_are_listed_in_order_and_stay(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url):
        with AmqpProducer(amqp_url) as producer:
            producer.publish(b"{nope", message_id="first")
            producer.publish(standard() | {"symbol": "?"})
        first, second = await wait_for_letters(amqp_url, 2)
    assert (first.number, first.reason, first.producer, first.message_id) == (1, "invalid_json", "demo", "first")
    assert (second.number, second.reason, second.error[:7]) == (2, "invalid_field", "symbol:")
    assert [letter.message_id for letter in await letters(amqp_url)] == [first.message_id, second.message_id]


async def test_a_look_at_the_first_letters_leaves_the_rest_alone(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url):
        with AmqpProducer(amqp_url) as producer:
            for number in range(5):
                producer.publish(b"{nope", message_id=str(number))
        await wait_for_letters(amqp_url, 5)
    async with dead_letters_of(amqp_url) as queue:
        assert [letter.message_id async for letter in queue.letters(2)] == ["0", "1"]


async def test_a_replayed_letter_is_stored_for_its_producer_after_the_fix(
    sqlite_database: Database, postgres_database: Database, virtual_host: VirtualHost
):
    """A conflict is dead-lettered; without the first signal (here: in another database) its replay is stored."""
    sent = standard(signal_id="s", entry_price=1.5)
    changed = standard(signal_id="s", entry_price=2.5)
    async with inbound_ingest(sqlite_database, virtual_host.url):
        with AmqpProducer(virtual_host.url_for("acme")) as producer:
            producer.publish(sent, producer=None, message_id=None)
            producer.publish(changed, producer=None, message_id=None, correlation_id="of the second")
        (letter,) = await wait_for_letters(virtual_host.url, 1)
    assert (letter.producer, letter.message_id, letter.reason) == ("acme", None, "conflict")
    async with dead_letters_of(virtual_host.url) as queue:
        async for letter in queue.letters():
            await queue.replay(letter)
    async with inbound_ingest(postgres_database, virtual_host.url) as ingest:
        await ingest.stored(1)
        _, (entry,) = await ingest.store.entries_after(0, 10)
    assert (entry.producer, entry.signal_id) == ("acme", "s")
    assert json.loads(entry.body)["entry_price"] == 2.5
    assert await letters(virtual_host.url) == []


async def test_an_untrusted_producer_cannot_be_replayed_as_another(
    sqlite_database: Database, virtual_host: VirtualHost
):
    async with inbound_ingest(sqlite_database, virtual_host.url):
        with AmqpProducer(virtual_host.url_for("mallory")) as producer:
            producer.publish(b"{nope", producer="victim")
            producer.publish(b"{nope", producer="victim", user_id=None)
        named, nameless = await wait_for_letters(virtual_host.url, 2)
    assert (named.producer, nameless.producer) == ("mallory", None)


async def test_what_the_broker_gave_up_itself_is_its_publishers_whatever_the_headers_say(virtual_host: VirtualHost):
    user = virtual_host.url_for("mallory")
    async with dead_letters_of(virtual_host.url):
        pass  # declares the queue
    with pika.BlockingConnection(pika.URLParameters(user)) as connection:
        forged = pika.BasicProperties(user_id="mallory", headers={"x-producer": "victim"}, message_id="m")
        connection.channel().basic_publish("signals.dead", "signals.dead", b"{}", forged)
    (letter,) = await wait_for_letters(virtual_host.url, 1)
    assert (letter.reason, letter.producer, letter.message_id) == ("delivery_limit", "mallory", "m")


async def test_a_dropped_letter_is_gone(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url) as ingest:
        with AmqpProducer(amqp_url) as producer:
            for number in range(3):
                producer.publish(b"{nope", message_id=str(number))
        await eventually(lambda: ingest.metric("messages_dead_lettered_total", reason="invalid_json") == 3)
    async with dead_letters_of(amqp_url) as queue:
        async for letter in queue.letters():
            if letter.message_id == "1":
                await queue.drop(letter)
    assert [letter.message_id for letter in await letters(amqp_url)] == ["0", "2"]


async def test_letters_survive_being_looked_at_more_often_than_a_broker_likes(sqlite_database: Database, amqp_url: str):
    """RabbitMQ 4 drops from a quorum queue after 20 deliveries, unless the queue is declared otherwise."""
    async with inbound_ingest(sqlite_database, amqp_url):
        with AmqpProducer(amqp_url) as producer:
            producer.publish(b"{nope")
        await wait_for_letters(amqp_url, 1)
    for _ in range(25):
        assert len(await letters(amqp_url)) == 1
