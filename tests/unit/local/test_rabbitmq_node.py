"""The private RabbitMQ node does what fault tests and `make up` need of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tiercast_local.errors import LocalError
from tiercast_local.ports import accepts
from tiercast_local.rabbitmq_node import RabbitMQNode

QUORUM = {"x-queue-type": "quorum"}


@contextmanager
def channel_to(url: str) -> Iterator[BlockingChannel]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel


def test_confirmed_messages_survive_a_kill_and_restart(breakable_broker: RabbitMQNode) -> None:
    bodies = [f"message {number}".encode() for number in range(100)]
    with channel_to(breakable_broker.url) as channel:
        channel.queue_declare("survivors", durable=True, arguments=QUORUM)
        for body in bodies:
            channel.basic_publish("", "survivors", body, pika.BasicProperties(delivery_mode=2))
        breakable_broker.await_on_disk("survivors")
        breakable_broker.kill()
        assert not accepts(breakable_broker.port)
        with pytest.raises(pika.exceptions.AMQPError):
            channel.basic_publish("", "survivors", b"to nobody")

    breakable_broker.start()

    with channel_to(breakable_broker.url) as channel:
        received = [channel.basic_get("survivors", auto_ack=True)[2] for _ in bodies]
        channel.queue_delete("survivors")
    assert received == bodies


def test_the_control_command_speaks_to_this_node_only(breakable_broker: RabbitMQNode) -> None:
    with channel_to(breakable_broker.url) as channel:
        channel.queue_declare("only-here", exclusive=True)
        assert "only-here" in breakable_broker.ctl("list_queues", "name").split()
    with pytest.raises(LocalError, match="no_such_command"):
        breakable_broker.ctl("no_such_command")


def test_a_broker_that_was_stopped_leaves_nothing_behind(breakable_broker: RabbitMQNode) -> None:
    def processes() -> list[str]:
        mark = str(breakable_broker.directory).encode()
        return [path.name for path in Path("/proc").glob("[0-9]*") if mark in _environment(path)]

    assert len(processes()) >= 2  # the broker and its epmd at least

    breakable_broker.kill()
    breakable_broker.stop()

    assert processes() == []


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
