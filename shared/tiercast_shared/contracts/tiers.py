"""Tiers, what they entitle to, and the events of the tiers service."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tiercast_shared.contracts.base import SCHEMA_VERSION, Contract, Epoch, Seq, UnixSeconds


class Tier(StrEnum):
    """A subscription tier. Users nobody has heard of are `STARTER`."""

    STARTER = "starter"
    PRO = "pro"
    ELITE = "elite"


UserId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A user as the identity provider names them (the token's subject). Compared byte for byte."""


class TierChanged(Contract):
    """A user's tier changed; the change is entry `seq` of the tiers log."""

    type: Literal["tier.changed"] = "tier.changed"
    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    epoch: Epoch
    seq: Seq
    user_id: UserId
    tier: Tier
    previous_tier: Tier
    version: Seq = Field(description="Equal to `seq`; a change applies only over a lower version.")
    reason: str
    changed_at: UnixSeconds


class SessionRevoked(Contract):
    """Tokens of this user issued before `tokens_valid_after` are void from now on."""

    type: Literal["session.revoked"] = "session.revoked"
    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    epoch: Epoch
    seq: Seq
    user_id: UserId
    tokens_valid_after: UnixSeconds


TierEvent = Annotated[TierChanged | SessionRevoked, Field(discriminator="type")]


class TierEventHeaders(Contract):
    """AMQP headers of an event on `tiers.events`. Only `published_at` may differ when it is published again."""

    type: Literal["tier.changed", "session.revoked"]
    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    epoch: Epoch
    seq: Seq
    committed_at: UnixSeconds
    published_at: UnixSeconds


class TierChangeEntry(Contract):
    """One entry of the tiers log as its log API gives it."""

    seq: Seq
    data: TierEvent


class TierChangePage(Contract):
    """Answer of `GET /api/v1/changes`: entries after a position, in order, without a gap."""

    epoch: Epoch
    head: Seq
    entries: list[TierChangeEntry]


class TierState(Contract):
    """What is known of one user at one moment."""

    tier: Tier
    version: Seq = Field(description="Seq of the tiers log at the last change; 0 for a user nobody has heard of.")
    tokens_valid_after: UnixSeconds | None = None


class TierLookupRequest(Contract):
    """Body of `POST /api/v1/tiers/lookup`."""

    user_ids: list[UserId] = Field(max_length=1000)


class TierLookup(Contract):
    """Answer of the lookup: every asked user has an entry; `head` is the log's head at the time of reading."""

    epoch: Epoch
    head: Seq
    tiers: dict[str, TierState]
