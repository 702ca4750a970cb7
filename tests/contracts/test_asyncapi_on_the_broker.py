"""The AsyncAPI documents tell what running services do: what they declare on the broker, and every message they send."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from jsonschema import Draft202012Validator

from docs.asyncapi import generate
from tests.support.backends import Backends
from tests.support.http import async_http
from tests.support.producers import premium, standard
from tests.support.rabbitmq import Broker, VirtualHost
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

DOCUMENTS = {name: json.loads((generate.DIRECTORY / f"{name}.json").read_text()) for name in generate.DOCUMENTS}
EVENTS = {"signals.events": "ingest", "tiers.events": "tiers"}


@pytest.fixture(scope="module")
def host(broker: Broker) -> Iterator[VirtualHost]:
    host = broker.virtual_host()
    yield host
    host.delete()


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, backends: Backends, host: VirtualHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        yield factory(amqp_url=host.url)


def listed(host: VirtualHost, kind: str) -> list[dict[str, Any]]:
    """What the broker's management API lists of one kind."""
    found: list[dict[str, Any]] = host._api.get(f"{kind}/{host.name}").raise_for_status().json()
    return found


def channels() -> Iterator[dict[str, Any]]:
    for document in DOCUMENTS.values():
        yield from (channel for channel in document["channels"].values() if "amqp" in channel["bindings"])


def named(queue: str) -> str:
    """A gateway's queue by the name that the document gives it."""
    return re.sub(r"^gateway\..+\.[0-9a-f]{8}$", "gateway.{replica}.{random}", queue)


def test_the_exchanges_on_the_broker_are_those_of_the_documents(stack: Stack, host: VirtualHost) -> None:
    told = {channel["x-bound"]["exchange"]["name"]: channel["x-bound"]["exchange"]["type"] for channel in bound()}
    for channel in channels():
        exchange = channel["bindings"]["amqp"].get("exchange", {})
        if "name" in exchange:
            told[exchange["name"]] = exchange["type"]
            assert exchange["durable"] is True
    found = [exchange for exchange in listed(host, "exchanges") if not re.match(r"amq\.|$", exchange["name"])]
    assert {exchange["name"]: exchange["type"] for exchange in found} == told
    assert all(exchange["durable"] and not exchange["auto_delete"] for exchange in found)


def test_the_queues_on_the_broker_are_those_of_the_documents(stack: Stack, host: VirtualHost) -> None:
    told = {channel["x-bound"]["queue"]["name"]: channel["x-bound"]["queue"]["arguments"] for channel in bound()}
    found = {named(queue["name"]): queue for queue in listed(host, "queues")}
    assert {name: queue["arguments"] for name, queue in found.items()} == told
    for channel in channels():
        if queue := channel["bindings"]["amqp"].get("queue"):
            real = found[queue["name"]]
            shape = {"durable": real["durable"], "exclusive": real["exclusive"], "autoDelete": real["auto_delete"]}
            assert shape == {name: queue[name] for name in shape}


def test_the_bindings_on_the_broker_are_those_of_the_documents(stack: Stack, host: VirtualHost) -> None:
    told = {(channel["x-bound"]["exchange"]["name"], channel["x-bound"]["queue"]["name"]) for channel in bound()}
    found = {(binding["source"], named(binding["destination"])) for binding in listed(host, "bindings")}
    assert {pair for pair in found if pair[0]} == told


def bound() -> list[dict[str, Any]]:
    return [channel for channel in channels() if "x-bound" in channel]


def check(document: dict[str, Any], name: str, part: str, value: object) -> None:
    """`value` is a valid payload, or valid headers, of the message `name`."""
    schema = {"$ref": f"#/components/messages/{name}/{part}", "components": document["components"]}
    Draft202012Validator(schema).validate(value)


@asynccontextmanager
async def everything_published(stack: Stack) -> AsyncIterator["asyncio.Queue[AbstractIncomingMessage]"]:
    """All messages of both event exchanges from now on."""
    messages: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in EVENTS:
            await queue.bind(exchange)
        await queue.consume(messages.put, no_ack=True)
        yield messages


async def test_every_event_on_the_broker_is_one_of_the_documents(stack: Stack) -> None:
    awaited = {
        (exchange, name)
        for exchange, sender in EVENTS.items()
        for name in DOCUMENTS[sender]["channels"][exchange]["messages"]
    }
    async with everything_published(stack) as messages, asyncio.timeout(20):
        await stack.publish_all([premium(), standard()])
        await stack.set_tier("told", "pro")
        async with async_http(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}) as http:
            (await http.delete("/api/v1/users/told/sessions")).raise_for_status()
        while awaited:
            message = await messages.get()
            assert message.exchange is not None
            document, name = DOCUMENTS[EVENTS[message.exchange]], str(message.headers["type"])
            assert name in document["channels"][message.exchange]["messages"]
            assert message.type == name
            assert message.delivery_mode == document["operations"][message.exchange]["bindings"]["amqp"]["deliveryMode"]
            check(document, name, "headers", dict(message.headers))
            check(document, name, "payload", json.loads(message.body))
            awaited.discard((message.exchange, name))


async def test_a_dead_letter_is_as_the_document_of_ingest_says(stack: Stack) -> None:
    wrong = standard(symbol="not a symbol")
    await stack.publish_over_amqp([wrong])
    letter = await stack.dead_letter(str(wrong["signal_id"]))
    assert json.loads(letter.body) == wrong
    check(DOCUMENTS["ingest"], "signal.dead", "headers", dict(letter.headers))


async def test_every_frame_of_a_socket_is_one_of_the_document(stack: Stack) -> None:
    document = DOCUMENTS["gateway"]
    listed = document["operations"]["clients.send"]["messages"]
    schema = {
        "anyOf": [{"$ref": f"#/components/messages/{ref['$ref'].rsplit('/', 1)[1]}/payload"} for ref in listed],
        "components": document["components"],
    }
    await stack.set_tier("reader", "pro")
    async with stack.client("reader") as client:
        await client.first("connected")
        await stack.publish_all([premium(), standard()])
        await client.signals_received(2)
        await client.send({"type": "subscribe", "symbols": ["AAPL"]})
        await client.send({"type": "nonsense"})
        await stack.set_tier("reader", "starter")
        await client.first("tier_changed")
        await client.settled()
        kinds = {frame["type"] for frame in client.frames}
        assert kinds >= {"connected", "new_signal", "subscribed", "error", "tier_changed", "pong"}
        for frame in client.frames:
            Draft202012Validator(schema).validate(frame)
