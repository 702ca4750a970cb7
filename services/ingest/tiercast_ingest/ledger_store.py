"""Reads what is chained: links and bodies, and where either chain stands at a position."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, true
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_ingest.domain.chain_walk import BEGINNING, ChainEnds
from tiercast_ingest.tables import ArchivedSignal, SignalLogCheckpoint, SignalLogEntry, SignalLogHead
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.models import HEAD_ID


@dataclass(frozen=True, slots=True)
class LinkedEntry:
    """The chained part of an entry."""

    seq: int
    body: bytes
    chain: bytes
    standard_seq: int | None
    standard_chain: bytes | None


LINKED = (
    col(SignalLogEntry.seq),
    col(SignalLogEntry.body),
    col(SignalLogEntry.chain),
    col(SignalLogEntry.standard_seq),
    col(SignalLogEntry.standard_chain),
)
"""As columns, entries are read at a third of what they cost as objects."""


class LedgerStore:
    """What is in the database. All methods raise `StorageUnavailable` while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def whole_head(self) -> SignalLogHead:
        """The head row: where the log ends, and (`floor`) behind which position it begins."""
        async with self._database.reading() as session:
            return (await session.exec(select(SignalLogHead).where(SignalLogHead.id == HEAD_ID))).one()

    async def linked_between(self, after: int, last: int, limit: int) -> Sequence[LinkedEntry]:
        """At most `limit` entries after position `after` up to `last`, in order."""
        seq = col(SignalLogEntry.seq)
        return await self._linked(columns(*LINKED).where(seq > after, seq <= last).limit(limit))

    async def linked_in_feed(self, feed: Feed, after: int, limit: int) -> Sequence[LinkedEntry]:
        """At most `limit` entries after position `after` of `feed`, in order."""
        position = col(SignalLogEntry.seq if feed is Feed.ALL else SignalLogEntry.standard_seq)
        return await self._linked(columns(*LINKED).where(position > after).limit(limit))

    async def ends_at(self, seq: int) -> ChainEnds | None:
        """Where both chains stand at position `seq`; None if there is no such entry (any more)."""
        if seq == 0:
            return BEGINNING
        async with self._database.reading() as session:
            checkpoint = await session.get(SignalLogCheckpoint, seq)
            if checkpoint is not None:
                return _ends(checkpoint)
            entry = await session.get(SignalLogEntry, seq)
            return None if entry is None else await _ends_of(session, entry)

    async def entry(self, wire_id: str) -> tuple[SignalLogHead, SignalLogEntry, ChainEnds] | None:
        """An entry by its id on the wire, the head, and where both chains stood before it; None if it is not in the log."""
        async with self._database.reading() as session:
            statement = select(SignalLogHead, SignalLogEntry).join(SignalLogEntry, true())
            found = (await session.exec(statement.where(SignalLogEntry.id == wire_id))).one_or_none()
        if found is None:
            return None
        before = await self.ends_at(found[1].seq - 1)
        return None if before is None else (*found, before)

    async def archived_at(self, wire_id: str) -> int | None:
        """The position of a signal that was archived; None if there is none of that id."""
        statement = select(ArchivedSignal.seq).where(ArchivedSignal.id == wire_id)
        async with self._database.reading() as session:
            return (await session.exec(statement)).one_or_none()

    async def _linked(self, statement: Select[int, bytes, bytes, int | None, bytes | None]) -> list[LinkedEntry]:
        async with self._database.reading() as session:
            rows = (await (await session.connection()).execute(statement.order_by(col(SignalLogEntry.seq)))).all()
        return [LinkedEntry(*row) for row in rows]


def _ends(checkpoint: SignalLogCheckpoint) -> ChainEnds:
    return ChainEnds(checkpoint.seq, checkpoint.chain, checkpoint.standard_seq, checkpoint.standard_chain)


async def _ends_of(session: AsyncSession, entry: SignalLogEntry) -> ChainEnds:
    seq = col(SignalLogEntry.seq)
    standard = (
        select(SignalLogEntry.standard_seq, SignalLogEntry.standard_chain)
        .where(seq <= entry.seq, col(SignalLogEntry.standard_seq).is_not(None))
        .order_by(seq.desc())
        .limit(1)
    )
    last = (await session.exec(standard)).one_or_none()
    if last is None:
        newest = select(SignalLogCheckpoint).order_by(col(SignalLogCheckpoint.seq).desc()).limit(1)
        checkpoint = (await session.exec(newest)).one_or_none()
        last = (checkpoint.standard_seq, checkpoint.standard_chain) if checkpoint else (0, GENESIS)
    return ChainEnds(entry.seq, entry.chain, *last)
