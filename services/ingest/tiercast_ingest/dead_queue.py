"""Looks at the dead letters, and replays or drops them (`tiercast-ingest dead …`)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic
from yarl import URL

from tiercast_ingest.dead_letters import DEAD_HEADERS, ERROR_HEADER, MESSAGE_ID_HEADER, REASON_HEADER
from tiercast_ingest.domain.sender import PRODUCER_HEADER, producer_of
from tiercast_ingest.settings import BrokerSettings
from tiercast_shared.errors import Rejected, Unavailable, reasons
from tiercast_shared.messaging.broker import BROKER_ERRORS, Sender, connected
from tiercast_shared.messaging.topology import SIGNALS_DEAD, SIGNALS_INBOUND, declare_inbound

BY_THE_BROKER = "delivery_limit"
"""Reason of what the broker moved here itself, after it had been delivered too often."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in `signals.dead`."""

    number: int
    """Place in the queue, from 1."""
    message: DeliveredMessage
    producer: str | None

    @property
    def properties(self) -> Basic.Properties:
        """AMQP properties."""
        return self.message.header.properties

    @property
    def message_id(self) -> str | None:
        """The message id that its publisher gave it."""
        told = self.properties.headers or {}
        if REASON_HEADER not in told:
            return self.properties.message_id  # the broker moved it, as it was
        return str(told[MESSAGE_ID_HEADER]) if MESSAGE_ID_HEADER in told else None

    @property
    def reason(self) -> str:
        """Why it is here, as a stable word."""
        return str((self.properties.headers or {}).get(REASON_HEADER, BY_THE_BROKER))

    @property
    def error(self) -> str:
        """Why it is here, in words."""
        return str((self.properties.headers or {}).get(ERROR_HEADER, "delivered too often without being settled"))


class DeadQueue:
    """The queue of dead letters, seen from its front; what is not settled goes back when the channel closes."""

    def __init__(self, channel: AbstractChannel, trusted: Iterable[str], user: str) -> None:
        self._channel = channel
        self._trusted = {*trusted, user}
        self._user = user
        self._inbound = Sender(channel, SIGNALS_INBOUND, SIGNALS_INBOUND)

    async def letters(self, limit: int | None = None) -> AsyncIterator[DeadLetter]:
        """The letters that are in the queue now, at most `limit`, oldest first."""
        queue = await self._channel.queue_declare(SIGNALS_DEAD, passive=True)
        count = queue.message_count or 0
        for number in range(1, 1 + (count if limit is None else min(limit, count))):
            message = await self._channel.basic_get(SIGNALS_DEAD)
            if isinstance(message.delivery, Basic.GetEmpty):
                return
            yield DeadLetter(number, message, self._producer(message))

    async def replay(self, letter: DeadLetter) -> None:
        """Publish a letter to `signals.inbound` as it came, its producer in `x-producer`; then take it from the queue.

        Raises:
            Rejected: nobody knows its producer.
        """
        if letter.producer is None:
            raise Rejected.field("user_id", f"dead letter {letter.number} has no producer", code=letter.reason)
        properties = replayed_properties(letter, letter.producer, self._user)
        await self._inbound.send([(properties, letter.message.body)])
        await self.drop(letter)

    async def drop(self, letter: DeadLetter) -> None:
        """Take a letter from the queue for good."""
        assert letter.message.delivery_tag is not None, "a letter has a tag"
        await self._channel.basic_ack(letter.message.delivery_tag)

    def _producer(self, message: DeliveredMessage) -> str | None:
        # ingest publishes dead letters as its own broker user, whose x-producer can be believed; of what the broker moved itself,
        # user_id is still the producer's
        properties = message.header.properties
        try:
            named = producer_of(properties.user_id, properties.headers or {}, self._trusted)
        except Rejected:
            return None
        without_name = PRODUCER_HEADER not in (properties.headers or {})
        return None if REASON_HEADER in (properties.headers or {}) and without_name else named


def replayed_properties(letter: DeadLetter, producer: str, user: str) -> Basic.Properties:
    """The original properties, with the producer in `x-producer` and as publisher the broker user who replays."""
    dead = letter.properties
    headers = {name: value for name, value in (dead.headers or {}).items() if name not in DEAD_HEADERS}
    return Basic.Properties(
        content_type=dead.content_type,
        content_encoding=dead.content_encoding,
        headers={**headers, PRODUCER_HEADER: producer},
        delivery_mode=dead.delivery_mode,
        priority=dead.priority,
        correlation_id=dead.correlation_id,
        reply_to=dead.reply_to,
        message_id=letter.message_id,
        timestamp=dead.timestamp,
        message_type=dead.message_type,
        user_id=user,
        app_id=dead.app_id,
    )


@asynccontextmanager
async def dead_queue(settings: BrokerSettings) -> AsyncIterator[DeadQueue]:
    """The queue of dead letters of the broker in `settings`.

    Raises:
        Unavailable: the broker cannot be reached, or refuses.
    """
    url = settings.amqp_url.get_secret_value()
    try:
        async with connected(url, name="ingest dead letters command") as connection:
            channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
            await declare_inbound(channel)
            raw = await channel.get_underlay_channel()
            yield DeadQueue(raw, settings.trusted_publishers, URL(url).user or "guest")
    except BROKER_ERRORS as error:
        raise Unavailable(f"the broker: {reasons(error)}") from error
