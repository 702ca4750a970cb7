"""One consumer of `signals.inbound` on one channel, from its first delivery to its end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel, DeliveredMessage

from tiercast_ingest.delivery import MessageHandler
from tiercast_ingest.domain.acknowledgements import Acknowledgements
from tiercast_shared.errors import Rejected, TiercastError
from tiercast_shared.messaging.broker import BROKER_ERRORS, told_apart_from_cancellation
from tiercast_shared.messaging.topology import SIGNALS_DEAD, SIGNALS_INBOUND, declare_inbound
from tiercast_shared.observability import get_logger

PROBE_SECONDS = 1.0
PROBE_TIMEOUT = 3.0
"""Seconds that the broker may take for each of a probe's two questions."""

STARVED_PROBES = 3
"""So many probes in a row that saw messages in the queue, room for them and none delivered mean a dead consumer."""

FINISH_SECONDS = 5.0
"""How long the end waits for messages in flight; what is left is delivered again."""

log = get_logger()


class ConsumerEnded(TiercastError):
    """This consumer gets no more messages."""


@dataclass(slots=True)
class QueueLengths:
    """Messages that lay ready when a consumer last asked; over the lives of many consumers."""

    inbound: int = 0
    dead: int = 0


class Consumer:
    """Handles messages concurrently and acknowledges them when they are settled."""

    def __init__(self, channel: AbstractChannel, handler: MessageHandler, prefetch: int, queues: QueueLengths) -> None:
        self._channel = channel
        self._handler = handler
        self._prefetch = prefetch
        self._queues = queues
        self._tag: str | None = None
        self._deliveries = 0
        self._acknowledgements = Acknowledgements()
        self._taken_at: dict[int, float] = {}
        """When each message that is not settled was delivered, oldest first."""
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = ""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: AbstractConnection, handler: MessageHandler, prefetch: int, queues: QueueLengths
    ) -> AsyncIterator["Consumer"]:
        """Declare the queue and begin; at the end what is in flight is finished and acknowledged.

        Raises:
            AMQPError, OSError, TimeoutError: the broker refuses, or is gone.
        """
        channel = await connection.channel(publisher_confirms=False)
        await declare_inbound(channel)
        await channel.set_qos(prefetch_count=prefetch)
        # aio-pika's own consumer would start a second task for every message
        consumer = cls(await channel.get_underlay_channel(), handler, prefetch, queues)
        channel.close_callbacks.add(lambda _channel, error: consumer.end(f"the channel was closed: {error}"))
        await consumer.begin()
        try:
            yield consumer
        finally:
            await consumer.finish()

    @property
    def in_flight(self) -> int:
        """Messages taken and not settled."""
        return self._acknowledgements.in_flight

    @property
    def oldest_seconds(self) -> float:
        """For how long the oldest of them has been here."""
        with suppress(StopIteration, RuntimeError):  # asked from another thread, while messages come and go
            return time.monotonic() - next(iter(self._taken_at.values()))
        return 0.0

    async def begin(self) -> None:
        """Ask for messages."""
        self._channel.on_consumer_cancel_callbacks.add(lambda _frame: self.end("the broker cancelled the consumer"))
        self._tag = (await self._channel.basic_consume(SIGNALS_INBOUND, self._on_message)).consumer_tag

    async def run(self) -> None:
        """Acknowledge, and watch over the consumer, until it ends.

        Raises:
            ExceptionGroup: of `ConsumerEnded` and of what aio-pika raises when the broker is gone.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._acknowledge())
            group.create_task(self._probe())
            await self._ended.wait()
            raise ConsumerEnded(self._reason)

    def end(self, reason: str) -> None:
        """Note that no more messages come."""
        self._reason = self._reason or reason
        self._ended.set()

    async def finish(self) -> None:
        """Take no more messages, give those in flight a moment, and acknowledge what is settled."""
        if self._channel.is_closed or self._tag is None:
            return
        with suppress(*BROKER_ERRORS):
            with suppress(TimeoutError):
                async with asyncio.timeout(FINISH_SECONDS):
                    await self._channel.basic_cancel(self._tag)
                    await self._all_settled()
            await self._flush(wait=True)

    async def _on_message(self, message: DeliveredMessage) -> None:
        tag = message.delivery_tag
        assert tag is not None, "a delivery has a tag"
        self._deliveries += 1
        self._acknowledgements.delivered(tag)
        self._taken_at[tag] = time.monotonic()
        try:
            await self._handle(tag, message)
        except Exception as error:
            log.exception("message failed, it will be delivered again", delivery_tag=tag)
            self.end(f"{type(error).__name__}: {error}")
            return
        self._acknowledgements.settle(tag)
        del self._taken_at[tag]
        self._settled.set()

    async def _handle(self, tag: int, message: DeliveredMessage) -> None:
        try:
            if not self._handler.admits(message):
                self._acknowledgements.detain(tag)
                await self._handler.turn(message)
            await self._handler.store(message)
        except Rejected as error:
            self._acknowledgements.detain(tag)
            await self._handler.bury(message, error)

    async def _acknowledge(self) -> None:
        while True:
            await self._settled.wait()
            self._settled.clear()
            await self._flush(wait=False)

    async def _flush(self, *, wait: bool) -> None:
        for tag, multiple in self._acknowledgements.take():
            await self._channel.basic_ack(tag, multiple=multiple, wait=wait)

    async def _all_settled(self) -> None:
        while self.in_flight:
            self._settled.clear()
            await self._settled.wait()

    async def _probe(self) -> None:
        """Ask the broker about the queue: a dead channel does not answer, and a dead consumer leaves messages waiting."""
        starved = 0
        while starved < STARVED_PROBES:
            seen = self._deliveries
            await asyncio.sleep(PROBE_SECONDS)
            with told_apart_from_cancellation():
                async with asyncio.timeout(2 * PROBE_TIMEOUT):  # aiormq's own time-out can swallow a cancellation
                    queue = await self._channel.queue_declare(SIGNALS_INBOUND, passive=True)
                    dead = await self._channel.queue_declare(SIGNALS_DEAD, passive=True)
            self._queues.inbound, self._queues.dead = queue.message_count or 0, dead.message_count or 0
            has_room = self.in_flight < self._prefetch
            starved = starved + 1 if queue.message_count and has_room and self._deliveries == seen else 0
        self.end(f"{queue.message_count} messages wait and none is delivered")
