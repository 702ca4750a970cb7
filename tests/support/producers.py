"""Producers as a customer would write them, without the project's own code.

The rules are those of the protocol's section "Producers"; they are written down a second time here so that a
mistake in the services shows.
"""

import asyncio
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aio_pika
import pika

HASHED = (
    "signal_id",
    "symbol",
    "action",
    "entry_price",
    "target_price",
    "stop_price",
    "confidence",
    "strategy",
    "timestamp",
)
ALIASES = {"target_price": "take_profit", "stop_price": "stop_loss"}
DEFAULT_STRATEGY = "weighted_consensus_v6"
INBOUND = "signals.inbound"

_numbers = itertools.count(1)

Submission = dict[str, object]


def hashed_text(submission: Mapping[str, object]) -> str:
    """The text over which a submission's SHA-256 is taken."""
    values = {name: submission.get(name, submission.get(ALIASES.get(name, ""))) for name in HASHED}
    values["strategy"] = values["strategy"] or DEFAULT_STRATEGY
    return json.dumps(values, sort_keys=True)


def signed(submission: Mapping[str, object]) -> Submission:
    """Return the submission with the right `sha256`."""
    return {**submission, "sha256": hashlib.sha256(hashed_text(submission).encode()).hexdigest()}


def submission(**overrides: object) -> Submission:
    """Return a valid submission, each with a signal id of its own; `None` as a value leaves the field out.

    The confidence is that of a STANDARD signal unless told.
    """
    number = next(_numbers)
    values: Submission = {
        "signal_id": f"test-{number}-{uuid4().hex[:8]}",
        "symbol": "AAPL",
        "action": "BUY",
        "entry_price": 175.5 + number,
        "target_price": 190.25 + number,
        "stop_price": 160.0,
        "confidence": 70.0,
        "timestamp": datetime.now(UTC).isoformat(),
    }
    values |= overrides
    return signed({name: value for name, value in values.items() if value is not None})


def standard(**overrides: object) -> Submission:
    """Return a valid STANDARD submission."""
    return submission(**{"confidence": 70.0} | overrides)


def premium(**overrides: object) -> Submission:
    """Return a valid PREMIUM submission."""
    return submission(**{"confidence": 92.5} | overrides)


async def publish_fast(url: str, submissions: Sequence[Submission], *, producer: str, in_flight: int = 500) -> None:
    """Publish all to the inbound exchange, in order, with `in_flight` unconfirmed at a time; each must be confirmed."""
    user = unquote(urlsplit(url).username or "guest")
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(INBOUND)
        for start in range(0, len(submissions), in_flight):
            messages = [
                aio_pika.Message(
                    json.dumps(each).encode(),
                    content_type="application/json",
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    user_id=user,
                    message_id=str(each["signal_id"]),
                    headers={"x-producer": producer},
                )
                for each in submissions[start : start + in_flight]
            ]
            await asyncio.gather(*(exchange.publish(message, INBOUND) for message in messages))


class AmqpProducer:
    """Publishes to the inbound exchange over one connection, with publisher confirms."""

    def __init__(self, url: str) -> None:
        self.user = unquote(urlsplit(url).username or "guest")
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def publish(
        self, body: Mapping[str, object] | bytes, *, producer: str | None = "demo", **properties: object
    ) -> None:
        """Publish one submission and wait for the broker's confirm.

        `producer` goes into the header `x-producer`; further `properties` replace the usual ones.
        """
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        usual: dict[str, object] = {
            "delivery_mode": 2,
            "content_type": "application/json",
            "user_id": self.user,
            "message_id": None if isinstance(body, bytes) else str(body.get("signal_id")),
            "headers": {"x-producer": producer} if producer is not None else None,
        }
        self._channel.basic_publish(INBOUND, INBOUND, raw, pika.BasicProperties(**usual | properties), mandatory=True)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
