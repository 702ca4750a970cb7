"""One consumer of `signals.inbound` on one channel, from its first delivery to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel

from tiercast_ingest.delivery import MessageHandler
from tiercast_ingest.domain.acknowledgements import Acknowledgements
from tiercast_ingest.domain.settlement import Stored
from tiercast_shared.errors import Rejected, TiercastError, Unavailable
from tiercast_shared.messaging.broker import BROKER_ERRORS, told_apart_from_cancellation
from tiercast_shared.messaging.deliveries import Message, consume
from tiercast_shared.messaging.topology import SIGNALS_DEAD, SIGNALS_INBOUND, declare_inbound
from tiercast_shared.observability import get_logger

PROBE_SECONDS = 1.0
PROBE_TIMEOUT = 3.0
"""Seconds that the broker may take for each of a probe's two questions."""

STARVED_PROBES = 3
"""So many probes in a row that saw messages in the queue, room for them and none delivered mean a dead consumer."""

FINISH_SECONDS = 5.0
"""How long the end waits for messages in flight; what is left is delivered again."""

TURN = 5
"""Messages read and checked, in about half a millisecond, before requests, commits and the publisher have their turn."""

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
        self._tasks: set[asyncio.Task[None]] = set()
        """For the few that are not settled by being stored at once."""
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._reason = ""
        self._finished = False

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
        self._tag = await consume(self._channel, SIGNALS_INBOUND, self._on_message, no_ack=False, turn=TURN)

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
        try:
            await self._finish()
        finally:
            self._finished = True
            for task in self._tasks:
                task.cancel()

    async def _finish(self) -> None:
        if self._channel.is_closed or self._tag is None:
            return
        with suppress(*BROKER_ERRORS):
            with suppress(TimeoutError):
                async with asyncio.timeout(FINISH_SECONDS):
                    await self._channel.basic_cancel(self._tag)
                    await self._all_settled()
            await self._flush(wait=True)

    def _on_message(self, message: Message) -> None:
        self._deliveries += 1
        self._acknowledgements.delivered(message.tag)
        self._taken_at[message.tag] = time.monotonic()
        try:
            if self._handler.admits(message):
                self._handler.store(message, partial(self._on_outcome, message))
            else:
                self._acknowledgements.detain(message.tag)
                self._begin(message, self._handler.store_in_turn(message))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's outcome
            self._on_outcome(message, error)

    def _on_outcome(self, message: Message, outcome: Stored | Exception) -> None:
        if self._finished:
            return  # it is delivered again to the next consumer
        if isinstance(outcome, Stored):
            self._settle(message)
        elif isinstance(outcome, Rejected):
            self._begin(message, self._bury(message, outcome))
        elif isinstance(outcome, Unavailable):
            self._begin(message, self._handler.store_patiently(message))
        else:
            self._give_up(message, outcome)

    def _begin(self, message: Message, work: Awaitable[None]) -> None:
        """Let `work` settle a message, however long it takes."""
        task = asyncio.ensure_future(self._settled_by(message, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settled_by(self, message: Message, work: Awaitable[None]) -> None:
        try:
            try:
                await work
            except Rejected as error:
                await self._bury(message, error)
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(message, error)
        else:
            self._settle(message)

    async def _bury(self, message: Message, error: Rejected) -> None:
        self._acknowledgements.detain(message.tag)
        await self._handler.bury(message, error)

    def _settle(self, message: Message) -> None:
        self._acknowledgements.settle(message.tag)
        del self._taken_at[message.tag]
        self._settled.set()

    def _give_up(self, message: Message, error: Exception) -> None:
        log.error("message failed, it will be delivered again", delivery_tag=message.tag, exc_info=error)
        self.end(f"{type(error).__name__}: {error}")

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
