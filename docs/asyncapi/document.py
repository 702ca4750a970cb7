"""Builds an AsyncAPI 3.0 document: FastStream describes exchanges and queues, the contracts describe messages."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from faststream.rabbit import RabbitBroker, RabbitExchange, RabbitQueue
from faststream.specification import AsyncAPI
from pydantic.json_schema import models_json_schema

from tiercast_shared.contracts.base import Contract

Json = dict[str, Any]

BROKER_URL = "amqp://rabbitmq:5672/"
"""Stands for any broker: nothing connects, and the host is an example."""

JSON = "application/json"
DEFAULT_EXCHANGE = RabbitExchange().name
SCHEMA_REFERENCE = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Message:
    """A message by the name that tells it apart (its `type`), with its payload's model."""

    name: str
    payload: type[Contract] | None
    """None for a payload that is not JSON, or that nobody reads."""
    headers: type[Contract] | Json | None = None
    """AMQP headers: a model, or a schema where only a tool needs one."""
    summary: str = ""

    @property
    def models(self) -> list[type[Contract]]:
        """The contracts that it refers to."""
        return [model for model in (self.payload, self.headers) if isinstance(model, type)]


@dataclass(frozen=True)
class AmqpChannel:
    """An exchange that a service publishes to, or a queue that it consumes and the exchange it is bound to."""

    name: str
    action: Literal["send", "receive"]
    exchange: RabbitExchange
    messages: tuple[Message, ...]
    description: str
    queue: RabbitQueue | None = None
    delivery: Json = field(default_factory=dict)
    """Of what is sent: `deliveryMode` (1 transient, 2 persistent) and `mandatory`."""


@dataclass(frozen=True)
class SocketChannel:
    """The path of a WebSocket server and what goes both ways."""

    name: str
    address: str
    query: Json
    sent: tuple[Message, ...]
    received: tuple[Message, ...]
    description: str
    close_codes: dict[str, str]


def document(
    title: str, version: str, description: str, channels: Iterable[AmqpChannel], socket: SocketChannel | None = None
) -> Json:
    """The document of one service."""
    channels = list(channels)
    broker, _endpoints = _broker(channels)
    told = AsyncAPI(broker, title=title, version=version, description=description, schema_version="3.0.0")
    result: Json = told.to_specification().to_jsonable()
    result["servers"] = {"rabbitmq": result["servers"].pop("development")}
    result["components"] = {"messages": {}, "schemas": {}}
    for channel in channels:
        _complete(result, channel)
    if socket is not None:
        _add_socket(result, socket)
    spoken = [message for channel in channels for message in channel.messages]
    spoken += [*socket.sent, *socket.received] if socket else []
    result["components"]["messages"] = {message.name: _described(message) for message in spoken}
    result["components"]["schemas"] = _schemas(spoken)
    return result


def _broker(channels: Iterable[AmqpChannel]) -> tuple[RabbitBroker, list[object]]:
    """A broker that is only asked for its description, and its endpoints, which it holds weakly."""

    async def handle(_message: object) -> None:
        """Stands for a handler; the messages are described by the contracts."""

    broker = RabbitBroker(BROKER_URL)
    endpoints: list[object] = []
    for channel in channels:
        told: Json = {"title": channel.name, "description": channel.description}
        if channel.action == "receive":
            assert channel.queue is not None, "what is received comes from a queue"
            subscriber = broker.subscriber(channel.queue, channel.exchange, **told)
            subscriber(handle)
            endpoints.append(subscriber)
        else:
            endpoints.append(broker.publisher(channel.queue or "", exchange=channel.exchange, **told))
    return broker, endpoints


def _complete(result: Json, channel: AmqpChannel) -> None:
    """Put in what FastStream does not know: the messages, and how queue and exchange belong together."""
    described, operation = result["channels"][channel.name], result["operations"][channel.name]
    described["servers"] = [_reference("servers", "rabbitmq")]
    _list_messages(described, operation, channel.name, channel.messages)
    if channel.action == "send":
        operation["bindings"]["amqp"] = {"bindingVersion": "0.3.0", **channel.delivery}
    if channel.queue is not None and channel.exchange.name != DEFAULT_EXCHANGE:
        queue = {"name": channel.queue.name, "arguments": dict(channel.queue.arguments or {})}
        described["x-bound"] = {
            "exchange": {"name": channel.exchange.name, "type": channel.exchange.type},
            "queue": queue,
        }


def _add_socket(result: Json, socket: SocketChannel) -> None:
    result["servers"]["gateway"] = {"host": "127.0.0.1:8000", "protocol": "ws"}
    described: Json = {
        "address": socket.address,
        "description": socket.description,
        "servers": [_reference("servers", "gateway")],
        "bindings": {"ws": {"method": "GET", "query": socket.query, "bindingVersion": "0.1.0"}},
        "x-close-codes": socket.close_codes,
    }
    result["channels"][socket.name] = described
    for action, messages in (("send", socket.sent), ("receive", socket.received)):
        operation = {"action": action, "channel": _reference("channels", socket.name)}
        result["operations"][f"{socket.name}.{action}"] = operation
        _list_messages(described, operation, socket.name, messages)


def _list_messages(described: Json, operation: Json, channel: str, messages: Iterable[Message]) -> None:
    names = [message.name for message in messages]
    references = {name: _reference("components", "messages", name) for name in names}
    # the first caller replaces FastStream's own single message, a second one (the other direction) adds its own
    kept = {name: told for name, told in described.get("messages", {}).items() if not told["$ref"].endswith("Message")}
    described["messages"] = kept | references
    operation["messages"] = [_reference("channels", channel, "messages", name) for name in names]


def _described(message: Message) -> Json:
    told: Json = {"name": message.name, "summary": message.summary or _first_line(message)}
    told["contentType"] = JSON if message.payload else "application/octet-stream"
    if isinstance(message.headers, type):
        told["headers"] = _schema_reference(message.headers)
    elif message.headers is not None:
        told["headers"] = message.headers
    if message.payload is not None:
        told["payload"] = _schema_reference(message.payload)
    return told


def _schemas(messages: Iterable[Message]) -> Json:
    models = dict.fromkeys(model for message in messages for model in message.models)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=SCHEMA_REFERENCE, by_alias=True
    )
    schemas: Json = definitions.get("$defs", {})
    return schemas


def _first_line(message: Message) -> str:
    assert message.payload is not None, f"{message.name} needs a summary"
    return (message.payload.__doc__ or "").splitlines()[0]


def _schema_reference(model: type[Contract]) -> dict[str, str]:
    return {"$ref": SCHEMA_REFERENCE.format(model=model.__name__)}


def _reference(*parts: str) -> dict[str, str]:
    return {"$ref": "/".join(("#", *parts))}
