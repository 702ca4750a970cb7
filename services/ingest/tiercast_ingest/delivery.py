"""What becomes of one message of `signals.inbound`."""

import asyncio
import time
from collections.abc import Collection
from functools import partial

from tiercast_ingest.api_keys import disabled_producer
from tiercast_ingest.dead_letters import DeadLetters
from tiercast_ingest.domain.identifiers import new_identifier
from tiercast_ingest.domain.reasons import MESSAGE_ID_MISMATCH
from tiercast_ingest.domain.sender import producer_of
from tiercast_ingest.domain.settlement import Stored
from tiercast_ingest.domain.submission import SubmittedSignal, parse
from tiercast_ingest.intake import Intake, Origin
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_shared.correlation import ACCEPTED
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.eventlog.writer import Done, outcome_of
from tiercast_shared.messaging.deliveries import Message
from tiercast_shared.observability import get_logger

FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 5.0

log = get_logger()


class MessageHandler:
    """Stores messages, or buries those that can never be stored."""

    def __init__(
        self,
        intake: Intake,
        dead_letters: DeadLetters,
        trusted: Collection[str],
        producers: ProducerDirectory,
        limits: ProducerLimits,
    ) -> None:
        self._intake = intake
        self._dead_letters = dead_letters
        self._trusted = trusted
        self._producers = producers
        self._limits = limits

    def admits(self, message: Message) -> bool:
        """Whether its producer may send it now; if not, `store_in_turn` is the way.

        Raises:
            Rejected: its producer is unknown or disabled.
        """
        producer = self._producer(message)
        if self._producers.disabled(producer):
            raise disabled_producer(producer)
        return self._limits.admits(producer)

    def store(self, message: Message, done: Done[Stored]) -> None:
        """Have a message stored, without waiting: `done` is told what came of it.

        Raises:
            Rejected: it can never be stored.
        """
        signal = parse(message.body)
        _check_message_id(message.properties.message_id, signal)
        self._intake.put(self._origin(message), signal, done)

    async def store_patiently(self, message: Message) -> None:
        """Store a message; returns when it is committed, however long the database is away.

        Raises:
            Rejected: it can never be stored.
        """
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await outcome_of(partial(self.store, message))
            except Unavailable:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY_SECONDS)
            else:
                return

    async def store_in_turn(self, message: Message) -> None:
        """As `store_patiently`, as soon as its producer may send it: it counts as received then.

        Raises:
            Rejected: it can never be stored.
        """
        await self._limits.turn(self._producer(message))
        await self.store_patiently(message._replace(received_at=time.time()))

    async def bury(self, message: Message, error: Rejected) -> None:
        """Move a message to the dead letters; returns when the broker has it there."""
        try:
            producer = self._producer(message)
        except Rejected:
            producer = None
        self._intake.refuse(Origin("amqp", producer or "", _correlation_id(message), message.received_at), error)
        await self._dead_letters.bury(message, producer, error)

    def _origin(self, message: Message) -> Origin:
        return Origin("amqp", self._producer(message), _correlation_id(message), message.received_at)

    def _producer(self, message: Message) -> str:
        properties = message.properties
        return producer_of(properties.user_id, properties.headers or {}, self._trusted)


def _correlation_id(message: Message) -> str:
    given = message.properties.correlation_id or ""
    return given if ACCEPTED.fullmatch(given) else new_identifier()


def _check_message_id(message_id: str | None, signal: SubmittedSignal) -> None:
    if message_id and message_id != signal.content.signal_id:
        raise Rejected.field("message_id", "must equal signal_id, or be left out", code=MESSAGE_ID_MISMATCH)
