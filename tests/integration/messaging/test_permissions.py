"""Each service runs with a broker user of its own that may do what the matrix says, and nothing else."""

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Self
from urllib.parse import urlsplit

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from tests.support.producers import AmqpProducer, premium, standard
from tests.support.rabbitmq import Broker, VirtualHost
from tests.support.stack_factory import StackFactory
from tiercast_shared.messaging import topology
from tiercast_shared.messaging.permissions import PERMISSIONS, PRODUCER, definitions, password_variable

INBOUND, DEAD = topology.SIGNALS_INBOUND, topology.SIGNALS_DEAD
SIGNALS, TIERS = topology.SIGNALS_EVENTS, topology.TIERS_EVENTS
PRESENCE, PROBES = topology.GATEWAY_PRESENCE, topology.GATEWAY_PROBES
OTHER = "somebody.else"
REPLICA = "gateway.replica.0a1b2c3d"
DEFAULT = ""
ACCESS_REFUSED = 403

EXCHANGES = {
    INBOUND: "direct",
    DEAD: "direct",
    SIGNALS: "fanout",
    TIERS: "fanout",
    PRESENCE: "fanout",
    PROBES: "direct",
    OTHER: "fanout",
}
QUEUES: dict[str, dict[str, str | int]] = {
    INBOUND: topology.INBOUND_ARGUMENTS,
    DEAD: topology.DEAD_ARGUMENTS,
    REPLICA: {},
    OTHER: {},
}

ALLOWED: dict[str, dict[str, set[str]]] = {
    "ingest": {
        "declare exchange": {INBOUND, DEAD, SIGNALS},
        "publish": {INBOUND, DEAD, SIGNALS},
        "bind from": {INBOUND, DEAD},
        "declare queue": {INBOUND, DEAD},
        "bind": {INBOUND, DEAD},
        "get": {INBOUND, DEAD},
    },
    "tiers": {"declare exchange": {TIERS}, "publish": {TIERS}},
    "gateway": {
        "declare exchange": {SIGNALS, TIERS, PRESENCE, PROBES},
        "publish": {PRESENCE, PROBES},
        "bind from": {SIGNALS, TIERS, PRESENCE, PROBES},
        "declare queue": {REPLICA},
        "bind": {REPLICA},
        "get": {REPLICA},
    },
    PRODUCER: {"publish": {INBOUND}},
}
"""All that each role may do; `bind from` is the exchange's side of a binding, `bind` the queue's."""


@dataclass
class Users:
    """A virtual host with one user for each role."""

    host: VirtualHost
    passwords: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        suffix = secrets.token_hex(4)  # users belong to the whole broker
        roles = {f"{role}-{suffix}": role for role in PERMISSIONS}
        self.passwords = {user: secrets.token_urlsafe(12) for user in roles}
        self.names = {role: user for user, role in roles.items()}
        self._post(definitions(roles, self.passwords, self.host.name))
        return self

    def __exit__(self, *_: object) -> None:
        for user in self.passwords:
            self.host._api.delete(f"users/{user}")

    def _post(self, told: dict[str, object]) -> None:
        self.host._api.post("definitions", json=told).raise_for_status()

    def url(self, role: str) -> str:
        user = self.names[role]
        parts = urlsplit(self.host.url)
        return parts._replace(netloc=f"{user}:{self.passwords[user]}@{parts.hostname}:{parts.port}").geturl()


@pytest.fixture(scope="module")
def users(broker: Broker) -> Iterator[Users]:
    host = broker.virtual_host()
    with Users(host) as users:
        yield users
    host.delete()


@pytest.fixture(scope="module")
def declared(users: Users) -> None:
    """All exchanges and queues, with the bindings of those who declare them."""
    connection = pika.BlockingConnection(pika.URLParameters(users.host.url))
    channel = connection.channel()
    for name, kind in EXCHANGES.items():
        channel.exchange_declare(name, kind, durable=True)
    for name, arguments in QUEUES.items():
        channel.queue_declare(name, durable=True, arguments=arguments)
    connection.close()


Attempt = Callable[[BlockingChannel, str], Any]


def declare_exchange(channel: BlockingChannel, name: str) -> None:
    channel.exchange_declare(name, EXCHANGES[name], durable=True)


def declare_queue(channel: BlockingChannel, name: str) -> None:
    channel.queue_declare(name, durable=True, arguments=QUEUES[name])


def publish(channel: BlockingChannel, name: str) -> None:
    channel.confirm_delivery()
    channel.basic_publish(name, "nowhere", b"")


def get(channel: BlockingChannel, name: str) -> None:
    channel.basic_get(name)


def bind(queue: str, exchange: str) -> Attempt:
    return lambda channel, name: channel.queue_bind(queue or name, exchange or name, "key")


def attempts(role: str) -> dict[str, tuple[Attempt, list[str]]]:
    """How each right is tried, and on what. Who binds needs rights on both sides, so the other side is one that is allowed."""
    own = next(iter(sorted(ALLOWED[role].get("bind", {OTHER}))))
    readable = next(iter(sorted(ALLOWED[role].get("bind from", {OTHER}))))
    return {
        "declare exchange": (declare_exchange, [*EXCHANGES]),
        "publish": (publish, [*EXCHANGES, DEFAULT, "amq.topic"]),
        "bind from": (bind(own, ""), [*EXCHANGES, "amq.topic"]),
        "declare queue": (declare_queue, [*QUEUES]),
        "bind": (bind("", readable), [*QUEUES]),
        "get": (get, [*QUEUES]),
    }


def refused(connection: pika.BlockingConnection, attempt: Attempt, name: str) -> bool:
    channel = connection.channel()
    try:
        attempt(channel, name)
    except ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        return True
    channel.close()
    return False


@pytest.mark.parametrize("role", ALLOWED)
def test_the_broker_refuses_every_cell_outside_the_matrix(users: Users, declared: None, role: str):
    connection = pika.BlockingConnection(pika.URLParameters(users.url(role)))
    granted: dict[str, set[str]] = {}
    for right, (attempt, names) in attempts(role).items():
        granted[right] = {name for name in names if not refused(connection, attempt, name)}
    connection.close()
    assert {right: names for right, names in granted.items() if names} == ALLOWED[role]


@pytest.mark.parametrize(("role", "queue"), [*product(ALLOWED, QUEUES)])
def test_nobody_reaches_a_queue_past_its_exchange(users: Users, declared: None, role: str, queue: str):
    connection = pika.BlockingConnection(pika.URLParameters(users.url(role)))

    def publish_straight(channel: BlockingChannel, name: str) -> None:
        channel.confirm_delivery()
        channel.basic_publish("", name, b"")

    assert refused(connection, publish_straight, queue)
    connection.close()


async def test_every_service_does_its_work_with_its_own_user(users: Users, make_stack: StackFactory):
    stack = make_stack(amqp_url=users.host.url, start=False)
    for service in (stack.ingest, stack.tiers, *stack.gateways):
        service.environment[f"{service.kind.upper()}_AMQP_URL"] = users.url(service.kind)
    stack.ingest.environment["INGEST_TRUSTED_PUBLISHERS"] = users.names["ingest"]
    stack.start()
    await stack.set_tier("listener", "pro")
    async with stack.client("listener") as client:
        await client.first("connected")
        sent = premium()
        with AmqpProducer(users.url(PRODUCER)) as producer:
            producer.publish(sent, producer=None)
            producer.publish(standard(symbol="?", signal_id="wrong"), producer=None)
        (received,) = await client.signals_received(1)
        assert received["data"]["hash"] == sent["sha256"]
        await stack.set_tier("listener", "starter")
        assert (await client.first("tier_changed"))["user_tier"] == "starter"
    letter = await stack.dead_letter("wrong")
    assert letter.headers["x-producer"] == users.names[PRODUCER]
    with AmqpProducer(users.url(PRODUCER)) as producer:
        producer.publish(standard(symbol="?", signal_id="again"), producer=None)
    await stack.dead_letter("again")
    assert stack.ingest.command("dead", "list") == ""


def test_the_command_prints_definitions_with_passwords_from_the_environment(users: Users):
    user = f"acme-{secrets.token_hex(4)}"
    command = [sys.executable, "-m", "tiercast_shared.messaging.permissions", "--vhost", users.host.name]
    command += ["--producer", user, *(f"--as={role}={users.names[role]}" for role in ("ingest", "tiers", "gateway"))]
    environment = {password_variable(user): "secret of acme"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "secret of acme" not in told
    users._post(json.loads(told))
    users.passwords[user] = "secret of acme"
    parts = urlsplit(users.host.url)
    url = parts._replace(netloc=f"{user}:secret%20of%20acme@{parts.hostname}:{parts.port}").geturl()
    connection = pika.BlockingConnection(pika.URLParameters(url))
    assert refused(connection, declare_exchange, SIGNALS)
    connection.close()


@pytest.mark.parametrize("argument", ["--as=cook=chef", "--as=ingest"])
def test_a_role_that_does_not_exist_is_named(argument: str):
    command = [sys.executable, "-m", "tiercast_shared.messaging.permissions", argument]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ingest, tiers, gateway, producer" in done.stderr
