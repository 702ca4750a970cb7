"""Tables of the ingest database. `migrations/` creates them."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from tiercast_shared.eventlog.models import BigInt, EntryColumns, HeadColumns, PublisherColumns


class SignalLogEntry(EntryColumns, table=True):
    """One signal, as it is published for ever."""

    __tablename__ = "signal_log"
    __table_args__ = (
        UniqueConstraint("producer", "signal_id", name="uq_signal_log_producer_signal_id"),
        UniqueConstraint("standard_seq", name="uq_signal_log_standard_seq"),
        UniqueConstraint("id", name="uq_signal_log_id"),
    )

    standard_seq: int | None = Field(sa_type=BigInt)
    """Position in the standard feed; null for a premium signal, as is its link in that feed's chain."""
    standard_chain: bytes | None
    id: str
    """The signal's name on the wire."""
    feed: str
    symbol: str
    producer: str
    signal_id: str
    """What the producer calls it; both names together are the idempotency key."""
    fingerprint: bytes
    """Of the content, without the hash: tells a repetition from a conflict."""
    hashed_text: str
    """The text that the producer's hash was taken over."""


class SignalLogHead(HeadColumns, table=True):
    """Where the signal log ends, and where its standard feed does."""

    __tablename__ = "signal_log_head"

    standard_seq: int = Field(sa_type=BigInt)
    standard_chain: bytes
    server_timestamp: float
    """That of the last signal, Unix seconds."""
    floor: int = Field(default=0, sa_type=BigInt)
    """Position of the last entry that was archived: the log holds only what follows. 0 while it is whole."""


class SignalLogPublisher(PublisherColumns, table=True):
    """How far the signal log is published, and by whom."""

    __tablename__ = "signal_log_publisher"


class SignalLogCheckpoint(SQLModel, table=True):
    """Where both chains stood at the last entry of an archive: verification goes on from there."""

    __tablename__ = "signal_log_checkpoint"

    seq: int = Field(sa_type=BigInt, primary_key=True, sa_column_kwargs={"autoincrement": False})
    chain: bytes
    standard_seq: int = Field(sa_type=BigInt)
    standard_chain: bytes
    archived_at: float
    """Unix seconds."""


class ArchivedSignal(SQLModel, table=True):
    """What remains of an archived entry: its names, so that the same signal is not stored a second time."""

    __tablename__ = "signal_log_archived"
    __table_args__ = (
        UniqueConstraint("producer", "signal_id", name="uq_signal_log_archived_producer_signal_id"),
        UniqueConstraint("id", name="uq_signal_log_archived_id"),
    )

    seq: int = Field(sa_type=BigInt, primary_key=True, sa_column_kwargs={"autoincrement": False})
    producer: str
    signal_id: str
    id: str
    fingerprint: bytes


class Producer(SQLModel, table=True):
    """A producer whom ingest knows by name. Broker users that are not here may send too, at the default limit."""

    __tablename__ = "producers"

    name: str = Field(primary_key=True)
    created_at: float
    """Unix seconds, as are the other times."""
    disabled_at: float | None = None
    """Since when nothing is taken from it, over HTTP or AMQP."""
    per_second: int | None = None
    """Signals that it may send in a second; the default limit when null."""


class ProducerKey(SQLModel, table=True):
    """A key of a producer. Revoked ones stay, so that `INGEST_API_KEYS` cannot bring one back."""

    __tablename__ = "producer_keys"

    digest: bytes = Field(primary_key=True)
    """SHA-256 of the key, which itself is nowhere."""
    producer: str = Field(foreign_key="producers.name", index=True)
    created_at: float
    revoked_at: float | None = None
