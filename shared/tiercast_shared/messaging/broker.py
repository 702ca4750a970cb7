"""Connections to RabbitMQ, and publishing in order with confirms."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, cast

import aio_pika
from aio_pika import DeliveryMode
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq.abc import AbstractChannel, ChannelFrame
from aiormq.channel import Channel
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from yarl import URL

from tiercast_shared.messaging import amqp_numbers, codec, frames, lenient
from tiercast_shared.messaging.patience import confirmed, unblocked
from tiercast_shared.messaging.topology import declare_events

amqp_numbers.install()  # Unix times in headers need 64 bits
frames.install()  # two reads for a frame instead of three, without copies
lenient.install()  # what anybody may publish must not be able to stop a consumer

BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)
"""What aio-pika raises when the broker, the connection or the channel is gone."""

HEARTBEAT_SECONDS = 10
"""Half-open connections are noticed after two of them, instead of hours of TCP."""

CONNECT_TIMEOUT = 10.0
PUBLISH_TIMEOUT = 10.0
"""Seconds after which a publish without a confirm counts as indeterminate."""

HeaderValue = str | int | float


class OutgoingEvent(NamedTuple):
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


@contextmanager
def told_apart_from_cancellation() -> Iterator[None]:
    """Make a lost connection of a cancellation that is not ours.

    aiormq cancels what waits on a channel that it closes. In a task group such a task would end silently, as if it had been
    asked to.

    Raises:
        ConnectionError: the channel was closed under the block.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the channel was closed") from None


@asynccontextmanager
async def connected(url: str, *, name: str) -> AsyncIterator[AbstractConnection]:
    """One plain connection, closed at the end; who loses it connects again.

    Raises:
        AMQPError, OSError, TimeoutError: the broker cannot be reached, or refuses.
    """
    target = with_heartbeat(url)
    async with asyncio.timeout(CONNECT_TIMEOUT):
        connection = await aio_pika.connect(target, client_properties={"connection_name": name})
    try:
        with told_apart_from_cancellation():
            yield connection
    except RuntimeError as error:
        if connection.is_closed:  # aiormq's word for using it then
            raise ConnectionError(f"the connection was closed: {error}") from error
        raise
    finally:
        await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except BROKER_ERRORS:
        pass  # it was gone already


class Confirmation:
    """Stands in aiormq's table of confirmations for every message of a batch: what it does with them there is all that is here.

    A future for each message costs more than publishing it, for aiormq has each call back four times.
    """

    def __init__(self, all_there: "asyncio.Future[None]") -> None:
        self.all_there = all_there
        """Done when every message is confirmed, failed as soon as one is refused."""
        self._missing = 0

    def expect_one_more(self) -> None:
        """One more message was written."""
        self._missing += 1

    def done(self) -> bool:
        """Never, so that aiormq tells of each message."""
        return False

    def set_result(self, _frame: object) -> None:
        """The broker has taken one."""
        self._missing -= 1
        if not self._missing and not self.all_there.done():
            self.all_there.set_result(None)

    def set_exception(self, error: BaseException) -> None:
        """The broker has refused one."""
        if not self.all_there.done():
            self.all_there.set_exception(error)


class Sender:
    """Publishes to one exchange, in order, with publisher confirms. After an error it is of no more use.

    A batch is handed to aiormq as one piece, where its own `publish` costs a task, a lock and a write to the socket for each
    message, and gives a message id to those that have none.
    """

    def __init__(self, channel: AbstractChannel, exchange: str, routing_key: str = "") -> None:
        self._channel = cast("Channel", channel)
        self._publish_frame = frame.marshal(Basic.Publish(exchange=exchange, routing_key=routing_key), channel.number)

    async def send(self, messages: Iterable[tuple[Basic.Properties, bytes]]) -> None:
        """Publish all, in order, and wait until the broker has confirmed each; while it blocks, however long that takes.

        Raises:
            AMQPError, OSError, TimeoutError: any subset may have been delivered, and may still be: repeat from the first.
        """
        await unblocked(self._channel)
        async with asyncio.timeout(PUBLISH_TIMEOUT):
            confirmation = await self._write(messages)
        try:
            with told_apart_from_cancellation():
                await confirmed(self._channel, confirmation.all_there, PUBLISH_TIMEOUT)
        except BROKER_ERRORS:
            raise
        except (
            Exception
        ) as error:  # aiormq rejects what waits with a bare Exception when a connection ends without a reason
            raise ConnectionError("the connection was closed") from error

    async def _write(self, messages: Iterable[tuple[Basic.Properties, bytes]]) -> Confirmation:
        channel = self._channel
        payload = bytearray()
        async with channel.lock:
            confirmation = Confirmation(channel.create_future())
            for properties, body in messages:
                payload += self._publish_frame + self._content(properties, body)
                channel.delivery_tag += 1
                channel.confirmations[channel.delivery_tag] = cast("asyncio.Future[Any]", confirmation)
                confirmation.expect_one_more()
            if not payload:
                confirmation.all_there.set_result(None)
            await channel.write_queue.put(ChannelFrame(bytes(payload), should_close=False))
        return confirmation

    def _content(self, properties: Basic.Properties, body: bytes) -> bytes:
        number, size = self._channel.number, self._channel.max_content_size
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        header = codec.content_header(len(body), properties, number)
        return header + b"".join(frame.marshal(ContentBody(part), number) for part in parts)


class Outlet:
    """Publishes events to one fanout exchange. After an error it is of no more use."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, exchange: str, *, name: str) -> AsyncIterator["Outlet"]:
        """Connect, and declare `exchange`."""
        async with connected(url, name=name) as connection:
            channel = await connection.channel(publisher_confirms=True)
            await declare_events(channel, exchange)
            yield cls(Sender(await channel.get_underlay_channel(), exchange))

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish all, in order, and wait until the broker has confirmed each.

        Raises:
            AMQPError, OSError, TimeoutError: any subset may have been delivered, and may still be: repeat from the first.
        """
        await self._sender.send((_properties(event), event.body) for event in events)


def _properties(event: OutgoingEvent) -> Basic.Properties:
    return Basic.Properties(
        content_type="application/json",
        headers=dict(event.headers),
        delivery_mode=DeliveryMode.NOT_PERSISTENT,  # replicas' queues are transient; the log is what lasts
        message_id=event.message_id,
        correlation_id=event.correlation_id,
        message_type=event.type,
    )
