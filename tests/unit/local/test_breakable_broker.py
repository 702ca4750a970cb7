"""The RabbitMQ that may be broken does what fault tests need of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.support.breakable import BreakableBroker
from tiercast_local import amqp
from tiercast_local.errors import LocalError

QUORUM = {"x-queue-type": "quorum"}


@contextmanager
def channel_to(url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def test_confirmed_messages_survive_a_kill_and_restart(breakable_broker: BreakableBroker) -> None:
    bodies = [f"message {number}".encode() for number in range(100)]
    with channel_to(breakable_broker.url) as channel:
        channel.queue_declare("survivors", durable=True, arguments=QUORUM)
        for body in bodies:
            channel.basic_publish("", "survivors", body, pika.BasicProperties(delivery_mode=2))
        breakable_broker.await_on_disk("survivors")
        breakable_broker.kill()
        assert not breakable_broker.running()
        with pytest.raises(pika.exceptions.AMQPError):
            channel.basic_publish("", "survivors", b"to nobody")

    breakable_broker.start()

    with channel_to(breakable_broker.url) as channel:
        received = [channel.basic_get("survivors", auto_ack=True)[2] for _ in bodies]
        channel.queue_delete("survivors")
    assert received == bodies


def test_the_control_command_speaks_to_this_node_only(breakable_broker: BreakableBroker) -> None:
    with channel_to(breakable_broker.url) as channel:
        channel.queue_declare("only-here", exclusive=True)
        assert "only-here" in breakable_broker.ctl("list_queues", "name").split()
    with pytest.raises(LocalError, match="no_such_command"):
        breakable_broker.ctl("no_such_command")


def test_a_frozen_broker_answers_again_when_it_goes_on(breakable_broker: BreakableBroker) -> None:
    breakable_broker.pause()
    assert not amqp.answers(breakable_broker.url)

    breakable_broker.resume()

    assert amqp.answers(breakable_broker.url)
