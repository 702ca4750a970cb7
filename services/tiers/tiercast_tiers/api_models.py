"""Bodies of the admin API."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, WithJsonSchema

from tiercast_shared.contracts.base import Seq, UnixSeconds
from tiercast_shared.contracts.tiers import Tier
from tiercast_tiers.domain import SessionsRevoked, TierSet, UserState
from tiercast_tiers.tables import TierLogEntry

DEFAULT_REASON = "set by admin"

Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""Goes into logs and to the user's clients, so it is one line."""

Actor = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x20-\x7e]+$")]
"""Who makes a change: printable ASCII, as it comes in an HTTP header."""


class SetTierRequest(BaseModel):
    """Body of `PUT …/tier`."""

    tier: Annotated[Tier, WithJsonSchema({"type": "string", "enum": [tier.value for tier in Tier]})]
    reason: Reason = DEFAULT_REASON


class UserTier(BaseModel):
    """A user's tier now. Users nobody has heard of are starters with version 0."""

    user_id: str
    tier: Tier
    version: Seq
    changed_at: UnixSeconds | None
    tokens_valid_after: UnixSeconds | None

    @classmethod
    def of(cls, user_id: str, state: UserState) -> Self:
        """How `state` is answered."""
        return cls(
            user_id=user_id,
            tier=state.tier,
            version=state.version,
            changed_at=state.changed_at,
            tokens_valid_after=state.tokens_valid_after,
        )


class TierSetAnswer(BaseModel):
    """Answer of `PUT …/tier`; `changed` is false when the user had that tier already, and nothing was written."""

    user_id: str
    tier: Tier
    previous_tier: Tier
    version: Seq
    changed: bool
    changed_at: UnixSeconds | None

    @classmethod
    def of(cls, outcome: TierSet) -> Self:
        """How `outcome` is answered."""
        return cls(
            user_id=outcome.user_id,
            tier=outcome.state.tier,
            previous_tier=outcome.previous_tier,
            version=outcome.state.version,
            changed=outcome.changed,
            changed_at=outcome.state.changed_at,
        )


class SessionsRevokedAnswer(BaseModel):
    """Answer of `DELETE …/sessions`."""

    user_id: str
    seq: Seq
    tokens_valid_after: UnixSeconds

    @classmethod
    def of(cls, outcome: SessionsRevoked) -> Self:
        """How `outcome` is answered."""
        return cls(user_id=outcome.user_id, seq=outcome.seq, tokens_valid_after=outcome.tokens_valid_after)


class TierHistoryItem(BaseModel):
    """One change of tier."""

    version: Seq
    tier: Tier
    previous_tier: Tier
    reason: str
    actor: str
    changed_at: UnixSeconds
    correlation_id: str

    @classmethod
    def of(cls, entry: TierLogEntry) -> Self:
        """How `entry`, a change of tier, is answered."""
        return cls.model_validate({**entry.model_dump(), "version": entry.seq, "changed_at": entry.committed_at})


class TierHistory(BaseModel):
    """Answer of `GET …/tier/history`, newest first."""

    user_id: str
    changes: list[TierHistoryItem]
    next_before: Seq | None = Field(description="`before` of the next page; null when there is none.")
