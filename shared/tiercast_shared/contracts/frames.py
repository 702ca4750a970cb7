"""Frames on `/ws/signals`, each one JSON object in a text frame of its own."""

from typing import Annotated, Literal

from pydantic import Field

from tiercast_shared.contracts.base import Contract, Seq, UnixSeconds
from tiercast_shared.contracts.signals import Signal
from tiercast_shared.contracts.tiers import Tier

Cursor = Annotated[str, Field(description="Opaque place to resume from; valid on every replica and transport.")]


class Connected(Contract):
    """First frame of a live socket."""

    type: Literal["connected"] = "connected"
    message: str
    connection_id: str
    user_tier: Tier
    cursor: Cursor
    recovered: bool | None = Field(
        description="Whether all that was missed follows; null if there was nothing to resume."
    )
    heartbeat_seconds: float
    server_timestamp: UnixSeconds


class NewSignal(Contract):
    """A signal. `seq` counts within the client's feed."""

    type: Literal["new_signal"] = "new_signal"
    seq: Seq
    cursor: Cursor
    data: Signal
    replay: Literal[True] | None = None


class Heartbeat(Contract):
    """`ping` from the server, or `pong` in answer to a client's `ping`."""

    type: Literal["ping", "pong"]
    server_timestamp: UnixSeconds
    seq: Seq = Field(description="Last position of this client's feed.")


class TierChangedFrame(Contract):
    """The user's tier changed; the connection carries the new tier's feed from here on."""

    type: Literal["tier_changed"] = "tier_changed"
    user_tier: Tier
    previous_tier: Tier
    reason: str
    cursor: Cursor


class Subscribed(Contract):
    """The whole symbol filter now in force; `["*"]` means all."""

    type: Literal["subscribed"] = "subscribed"
    symbols: list[str]


class ResyncRequired(Contract):
    """What was missed cannot be replayed whole: refetch `/api/v1/signals/latest`, then go on."""

    type: Literal["resync_required"] = "resync_required"
    reason: str
    cursor: Cursor


class Stale(Contract):
    """Upstream has been silent for longer than 3 s (`stale`), or is back (`fresh`)."""

    type: Literal["stale", "fresh"]
    server_timestamp: UnixSeconds


class Reconnect(Contract):
    """This replica is about to close the socket; come back after the delay."""

    type: Literal["reconnect"] = "reconnect"
    retry_after_ms: int = Field(ge=0)
    cursor: Cursor


class ErrorFrame(Contract):
    """What was wrong with what the client sent."""

    type: Literal["error"] = "error"
    code: str
    message: str


ServerFrame = Annotated[
    Connected | NewSignal | Heartbeat | TierChangedFrame | Subscribed | ResyncRequired | Stale | Reconnect | ErrorFrame,
    Field(discriminator="type"),
]


class ClientPing(Contract):
    """Asks for a `pong` (`ping`), or answers a `ping` and is ignored (`pong`)."""

    type: Literal["ping", "pong"]


class ClientAuth(Contract):
    """Presents a token, first or anew."""

    type: Literal["auth"]
    token: str = Field(min_length=1)


class ClientSubscribe(Contract):
    """Adds symbols to, or takes them from, the connection's filter."""

    type: Literal["subscribe", "unsubscribe"]
    symbols: list[str] = Field(min_length=1)


ClientFrame = Annotated[ClientPing | ClientAuth | ClientSubscribe, Field(discriminator="type")]
