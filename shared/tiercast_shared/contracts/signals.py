"""Signals: what a producer submits, what a client receives, and the entries of the signal log."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from tiercast_shared.contracts.base import Contract, Epoch, Seq, UnixSeconds

PREMIUM_CONFIDENCE = 85.0
"""A signal whose confidence (0–100) is at least this is premium."""

SIGNAL_PUBLISHED: Literal["signal.published"] = "signal.published"
"""The `type` header of an event on `signals.events`."""


class Action(StrEnum):
    """What the signal advises."""

    BUY = "BUY"
    SELL = "SELL"


class SignalType(StrEnum):
    """Premium signals are for paying tiers only."""

    PREMIUM = "PREMIUM"
    STANDARD = "STANDARD"


class Feed(StrEnum):
    """A sequence of signals with a contiguous numbering of its own."""

    STANDARD = "standard"
    ALL = "all"


Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Price = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Confidence = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Signal(Contract):
    """A signal on the wire: the body of `signals.events` and the `data` of `new_signal`."""

    id: UUID = Field(description="Random, given by ingest.")
    symbol: str = Field(min_length=1, max_length=20)
    action: Action
    entry_price: Price
    stop_loss: Price | None
    take_profit: Price | None
    confidence: Confidence
    type: SignalType
    timestamp: datetime = Field(description="When the producer made it (ISO 8601, UTC).")
    hash: Sha256Hex = Field(description="SHA-256 over the producer's content.")
    reasoning: str | None
    server_timestamp: UnixSeconds = Field(description="When it entered the log; strictly increasing over the log.")
    strategy: str | None = None
    asset_type: str | None = None
    data_source: str | None = None
    regime: str | None = None
    consensus_agreement: float | None = None
    sources_count: int | None = None
    valid_until: datetime | None = None


class SignalEventHeaders(Contract):
    """AMQP headers of an event on `signals.events`. Only `published_at` may differ when it is published again."""

    type: Literal["signal.published"] = SIGNAL_PUBLISHED
    schema_version: Literal[1] = Field(default=1, alias="schema")
    epoch: Epoch
    seq: Seq
    standard_seq: Seq | None = Field(default=None, description="Absent on a premium signal.")
    feed: Feed = Field(description="The smallest feed that carries it: `standard`, or `all` for a premium one.")
    symbol: str
    received_at: UnixSeconds
    committed_at: UnixSeconds
    published_at: UnixSeconds


class SignalLogEntry(Contract):
    """One entry of the signal log as its log API gives it."""

    seq: Seq
    standard_seq: Seq | None = Field(description="Position in the standard feed; null for a premium signal.")
    feed: Feed
    symbol: str
    received_at: UnixSeconds
    committed_at: UnixSeconds
    data: Signal


class SignalLogPage(Contract):
    """Answer of `GET /api/v1/log`: entries after a position, in order, without a gap."""

    epoch: Epoch
    head: Seq
    standard_head: Seq
    floor: Seq = Field(
        default=0,
        description="Entries up to this position are archived: what was asked for from below it is not complete any more.",
    )
    entries: list[SignalLogEntry]
