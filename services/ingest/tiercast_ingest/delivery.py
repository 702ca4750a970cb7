"""What becomes of one message of `signals.inbound`."""

import asyncio
from collections.abc import Collection

from aiormq.abc import DeliveredMessage

from tiercast_ingest.api_keys import disabled_producer
from tiercast_ingest.dead_letters import DeadLetters
from tiercast_ingest.domain.identifiers import new_identifier
from tiercast_ingest.domain.reasons import MESSAGE_ID_MISMATCH
from tiercast_ingest.domain.sender import producer_of
from tiercast_ingest.domain.submission import SubmittedSignal, parse
from tiercast_ingest.intake import Intake, Origin
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_shared.correlation import ACCEPTED
from tiercast_shared.errors import Rejected, Unavailable
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

    def admits(self, message: DeliveredMessage) -> bool:
        """Whether its producer may send it now; if not, `turn` is to be awaited before `store`.

        Raises:
            Rejected: its producer is unknown or disabled.
        """
        producer = self._producer(message)
        if self._producers.disabled(producer):
            raise disabled_producer(producer)
        return self._limits.admits(producer)

    async def turn(self, message: DeliveredMessage) -> None:
        """Wait until its producer may send it."""
        await self._limits.turn(self._producer(message))

    async def store(self, message: DeliveredMessage) -> None:
        """Store a message; returns when it is committed, however long the database is away.

        Raises:
            Rejected: it can never be stored.
        """
        origin = self._origin(message)
        signal = parse(message.body)
        _check_message_id(message.header.properties.message_id, signal)
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                await self._intake.take(origin, signal)
            except Unavailable:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY_SECONDS)
            else:
                return

    async def bury(self, message: DeliveredMessage, error: Rejected) -> None:
        """Move a message to the dead letters; returns when the broker has it there."""
        try:
            producer = self._producer(message)
        except Rejected:
            producer = None
        self._intake.refuse(self._intake.origin("amqp", producer or "", _correlation_id(message)), error)
        await self._dead_letters.bury(message, producer, error)

    def _origin(self, message: DeliveredMessage) -> Origin:
        return self._intake.origin("amqp", self._producer(message), _correlation_id(message))

    def _producer(self, message: DeliveredMessage) -> str:
        properties = message.header.properties
        return producer_of(properties.user_id, properties.headers or {}, self._trusted)


def _correlation_id(message: DeliveredMessage) -> str:
    given = message.header.properties.correlation_id or ""
    return given if ACCEPTED.fullmatch(given) else new_identifier()


def _check_message_id(message_id: str | None, signal: SubmittedSignal) -> None:
    if message_id and message_id != signal.content.signal_id:
        raise Rejected.field("message_id", "must equal signal_id, or be left out", code=MESSAGE_ID_MISMATCH)
