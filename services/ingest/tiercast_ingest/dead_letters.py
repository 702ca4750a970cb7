"""Moves messages that can never be stored to `signals.dead`, with the reason, so that they can be looked at and replayed."""

import asyncio
import struct
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

from aio_pika import DeliveryMode
from aiormq.abc import AbstractChannel
from pamqp import encode
from pamqp.commands import Basic
from yarl import URL

from tiercast_ingest.domain.sender import PRODUCER_HEADER
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.errors import Rejected
from tiercast_shared.messaging.broker import BROKER_ERRORS, PUBLISH_TIMEOUT, connected
from tiercast_shared.messaging.deliveries import Message
from tiercast_shared.messaging.patience import confirmed, unblocked
from tiercast_shared.messaging.topology import SIGNALS_DEAD, declare_inbound
from tiercast_shared.observability import get_logger

REASON_HEADER = "x-reason"
ERROR_HEADER = "x-error"
USER_HEADER = "x-user-id"
MESSAGE_ID_HEADER = "x-message-id"
DEAD_HEADERS = (REASON_HEADER, ERROR_HEADER, USER_HEADER, MESSAGE_ID_HEADER, PRODUCER_HEADER)

MAX_HEADERS = 64 * 1024
"""Bytes of the original headers that are carried over; all of a message's properties must fit into one frame (128 KiB)."""

MAX_SHORT_STRING = 255
RETRY_SECONDS = 1.0

log = get_logger()


class DeadLetters:
    """Publishes dead letters one at a time over a connection of its own, made when the first one comes."""

    def __init__(self, url: str, metrics: IngestMetrics) -> None:
        self._url = url
        self._metrics = metrics
        self._user = URL(url).user or "guest"
        self._turn = asyncio.Lock()
        self._connection = AsyncExitStack()
        self._channel: AbstractChannel | None = None

    async def __aenter__(self) -> Self:
        """Nothing connects yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._connection.aclose()

    async def bury(self, message: Message, producer: str | None, error: Rejected) -> None:
        """Publish `message` as a dead letter; returns when the broker has it, however long that takes."""
        properties = dead_properties(message.properties, producer, error, self._user)
        async with self._turn:
            while True:
                try:
                    await self._publish(message.body, properties)
                    break
                except BROKER_ERRORS as problem:
                    log.warning(
                        "cannot publish a dead letter yet", reason=f"{type(problem).__name__}: {problem}", once_in=30
                    )
                    await self._disconnect()
                    await asyncio.sleep(RETRY_SECONDS)
        self._metrics.dead_lettered(error.code)

    async def _publish(self, body: bytes, properties: Basic.Properties) -> None:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._connect()
        await unblocked(self._channel)
        publishing = self._channel.basic_publish(
            body, exchange=SIGNALS_DEAD, routing_key=SIGNALS_DEAD, properties=properties, mandatory=True
        )
        await confirmed(self._channel, publishing, PUBLISH_TIMEOUT)

    async def _connect(self) -> AbstractChannel:
        connection = await self._connection.enter_async_context(connected(self._url, name="ingest dead letters"))
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare_inbound(channel)
        return await channel.get_underlay_channel()

    async def _disconnect(self) -> None:
        self._channel = None
        await self._connection.aclose()


def dead_properties(original: Basic.Properties, producer: str | None, error: Rejected, user: str) -> Basic.Properties:
    """The properties of a dead letter: the original ones and why it is one.

    `user_id` becomes that of the broker user who publishes it, as the broker demands; the original one goes to `x-user-id`. A
    time to live is left out, for dead letters wait for a person.
    """
    told: dict[str, Any] = {REASON_HEADER: error.code, ERROR_HEADER: error.message}
    if producer is not None:
        told[PRODUCER_HEADER] = producer
    if original.user_id:
        told[USER_HEADER] = original.user_id
    if original.message_id:
        told[MESSAGE_ID_HEADER] = original.message_id  # aiormq makes one up where there is none
    return Basic.Properties(
        content_type=_short(original.content_type),
        content_encoding=_short(original.content_encoding),
        headers=carried_headers(original.headers or {}) | told,
        delivery_mode=DeliveryMode.PERSISTENT,
        priority=original.priority,
        correlation_id=_short(original.correlation_id),
        reply_to=_short(original.reply_to),
        message_id=_short(original.message_id),
        timestamp=original.timestamp,
        message_type=_short(original.message_type),
        user_id=user,
        app_id=_short(original.app_id),
    )


def _short(text: str | None) -> str | None:
    """What fits into an AMQP short string (255 bytes); decoding may have made it longer."""
    return text if text is None else text.encode()[:MAX_SHORT_STRING].decode(errors="ignore")


def carried_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers of the original that can be written again; an `x-producer` that ingest did not set means nothing."""
    kept = {name: value for name, value in headers.items() if name not in DEAD_HEADERS}
    try:
        fits = len(encode.field_table(kept)) <= MAX_HEADERS
    except (TypeError, ValueError, ArithmeticError, RecursionError, struct.error):
        fits = False
    return kept if fits else {}
