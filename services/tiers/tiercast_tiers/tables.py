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
    """One change: a tier set (`tier.changed`) or sessions revoked (`session.revoked`, where the tiers are null)."""

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


class BillingEventRow(SQLModel, table=True):
    """An event of the payment provider that says something about a tier. Its id makes that it counts once."""

    __tablename__ = "billing_events"

    id: str = Field(primary_key=True)
    type: str
    created: int = Field(sa_type=BigInt)
    """When it happened by the provider's clock, Unix seconds."""
    received_at: float
    customer: str | None = Field(index=True)
    subscription: str | None = Field(index=True)
    user_id: str | None
    status: str | None
    prices: str
    """Separated by commas. What they pay for is configuration, and looked up anew each time."""
    status_before: str | None = None
    """What an update has replaced, where it says so."""
    prices_before: str | None = None


class BillingCustomer(SQLModel, table=True):
    """Whose customer this is, after all checkouts so far."""

    __tablename__ = "billing_customers"

    customer: str = Field(primary_key=True)
    user_id: str = Field(index=True)


class BillingSubscription(SQLModel, table=True):
    """A subscription after all its events so far."""

    __tablename__ = "billing_subscriptions"

    subscription: str = Field(primary_key=True)
    customer: str | None = Field(index=True)
    status: str | None
    prices: str
    unpaid_since: int | None = Field(sa_type=BigInt, index=True)
    lapsed: bool = False
    """Whether the end of the grace period has been acted on."""


class BillingUser(SQLModel, table=True):
    """The tier that billing gave a user last. A tier that was set by hand stays until this one changes."""

    __tablename__ = "billing_users"

    user_id: str = Field(primary_key=True)
    tier: str
