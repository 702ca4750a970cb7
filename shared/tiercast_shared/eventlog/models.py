"""Columns of an event log's three tables. Each owning service makes its own tables from them."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field, SQLModel

HEAD_ID = 1
"""The head and the publisher's cursor are one row each."""

BigInt = BigInteger().with_variant(Integer, "sqlite")
"""64 bits everywhere; on SQLite an `INTEGER` primary key is the table's own row id, so that no second index is kept."""


class EntryColumns(SQLModel):
    """One immutable entry of the log."""

    seq: int = Field(sa_type=BigInt, primary_key=True, sa_column_kwargs={"autoincrement": False})
    body: bytes
    """Rendered once; hashed into the chain, and published, from these bytes."""
    chain: bytes
    correlation_id: str
    received_at: float
    committed_at: float
    """Writer's clock as it commits, Unix seconds."""


class HeadColumns(SQLModel):
    """Where the log ends. Who holds this row's lock is the only writer."""

    id: int = Field(default=HEAD_ID, primary_key=True)
    epoch: str
    seq: int = Field(sa_type=BigInt)
    chain: bytes


class PublisherColumns(SQLModel):
    """How far the log is published, and who holds the lease to publish. Apart from the head, so that it never waits for writers."""

    id: int = Field(default=HEAD_ID, primary_key=True)
    holder: str | None = None
    until: float = 0
    """When the lease ends, Unix seconds by the database's clock."""
    published: int = Field(default=0, sa_type=BigInt)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ended when it was read."""

    epoch: str
    seq: int
