"""Connections to RabbitMQ, and publishing in order with confirms."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from yarl import URL

from tiercast_shared.messaging import amqp_numbers, lenient
from tiercast_shared.messaging.topology import declare_events

amqp_numbers.install()  # Unix times in headers need 64 bits
lenient.install()  # what anybody may publish must not be able to stop a consumer

BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)
"""What aio-pika raises when the broker, the connection or the channel is gone."""

HEARTBEAT_SECONDS = 10
"""Half-open connections are noticed after two of them, instead of hours of TCP."""

CONNECT_TIMEOUT = 10.0
PUBLISH_TIMEOUT = 10.0
"""Seconds after which a publish without a confirm counts as indeterminate."""

HeaderValue = str | int | float


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """A message for one of the event exchanges."""

    body: bytes
    headers: Mapping[str, HeaderValue]
    message_id: str | None = None
    correlation_id: str | None = None
    type: str | None = None


def with_heartbeat(url: str) -> URL:
    """`url` with a heartbeat, unless it names one."""
    target = URL(url)
    return target if "heartbeat" in target.query else target.update_query(heartbeat=str(HEARTBEAT_SECONDS))


@asynccontextmanager
async def connected(url: str, *, name: str) -> AsyncIterator[AbstractConnection]:
    """One plain connection, closed at the end; who loses it connects again.

    Raises:
        AMQPError, OSError, TimeoutError: the broker cannot be reached, or refuses.
    """
    target = with_heartbeat(url)
    connection = await aio_pika.connect(target, timeout=CONNECT_TIMEOUT, client_properties={"connection_name": name})
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except BROKER_ERRORS:
        pass  # it was gone already


@dataclass(slots=True)
class Outlet:
    """Publishes to one fanout exchange, in order, with publisher confirms."""

    _exchange: AbstractExchange
    _timeout: float = field(default=PUBLISH_TIMEOUT)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, exchange: str, *, name: str) -> AsyncIterator["Outlet"]:
        """Connect, and declare `exchange`."""
        async with connected(url, name=name) as connection:
            channel = await connection.channel(publisher_confirms=True)
            yield cls(await declare_events(channel, exchange))

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish all, in order, and wait until the broker has confirmed each.

        Raises:
            AMQPError, OSError, TimeoutError: any subset may have been delivered, and may still be: repeat from the first.
        """
        publishing = [
            asyncio.create_task(self._publish(event)) for event in events
        ]  # start in order; the channel's lock is fair
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.gather(*publishing)
        finally:
            for task in publishing:
                task.cancel()

    async def _publish(self, event: OutgoingEvent) -> None:
        message = Message(
            event.body,
            headers=dict(event.headers),
            content_type="application/json",
            delivery_mode=DeliveryMode.NOT_PERSISTENT,  # replicas' queues are transient; the log is what lasts
            message_id=event.message_id,
            correlation_id=event.correlation_id,
            type=event.type,
        )
        await self._exchange.publish(message, routing_key="", mandatory=False)  # no replica bound is no error
