"""Tables of the tiers database. `migrations/` creates them."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from tiercast_shared.eventlog.models import BigInt, EntryColumns, HeadColumns, PublisherColumns


class User(SQLModel, table=True):
    """What the log says of a user up to its head. Users without a row are starters."""

    __tablename__ = "users"

    user_id: str = Field(primary_key=True)
    tier: str
    version: int = Field(sa_type=BigInt)
    """`seq` of the last change of tier; 0 if there was none."""
    changed_at: float | None
    """When that change was committed, Unix seconds."""
    tokens_valid_after: float | None
    """Tokens issued before are void, Unix seconds. Never moves back."""


class TierLogEntry(EntryColumns, table=True):
    """One change: a tier set (`tier.changed`) or sessions revoked (`session.revoked`, where tier and reason are null)."""

    __tablename__ = "tier_log"
    __table_args__ = (Index("ix_tier_log_user_id_seq", "user_id", "seq"),)

    type: str
    user_id: str
    tier: str | None
    previous_tier: str | None
    reason: str | None
    actor: str


class TierLogHead(HeadColumns, table=True):
    """Where the tiers log ends."""

    __tablename__ = "tier_log_head"


class TierLogPublisher(PublisherColumns, table=True):
    """How far the tiers log is published, and by whom."""

    __tablename__ = "tier_log_publisher"
