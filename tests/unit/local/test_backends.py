"""Every test gets a namespace of its own on the shared servers."""

import pika
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.rabbitmq import Broker, VirtualHost


def test_a_virtual_host_starts_empty_and_another_one_is_not_seen_in_it(broker: Broker, amqp_url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().queue_declare("mine")
        other = broker.virtual_host()
        with (
            pika.BlockingConnection(pika.URLParameters(other.url)) as elsewhere,
            pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"),
        ):
            elsewhere.channel().queue_declare("mine", passive=True)
        other.delete()


def test_another_broker_user_is_who_the_broker_says_it_is(virtual_host: VirtualHost) -> None:
    with pika.BlockingConnection(pika.URLParameters(virtual_host.url_for("somebody"))) as connection:
        channel = connection.channel()
        channel.queue_declare("mine")
        channel.confirm_delivery()
        channel.basic_publish("", "mine", b"", pika.BasicProperties(user_id="somebody"))
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="user_id"):
            channel.basic_publish("", "mine", b"", pika.BasicProperties(user_id="somebody-else"))


async def test_each_database_is_empty_and_writable(database_url: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE fresh (number INTEGER)"))
        await connection.execute(text("INSERT INTO fresh VALUES (1)"))
        assert (await connection.execute(text("SELECT count(*) FROM fresh"))).scalar_one() == 1
    await engine.dispose()
