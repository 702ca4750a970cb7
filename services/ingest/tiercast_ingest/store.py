"""Reads the signal log. Each answer comes from one statement, so that it shows one moment of the database."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from tiercast_ingest.domain.settlement import Entry
from tiercast_ingest.ledger_store import LedgerStore
from tiercast_ingest.tables import SignalLogEntry, SignalLogHead, SignalLogPublisher
from tiercast_shared.contracts.signals import SIGNAL_PUBLISHED, Feed
from tiercast_shared.eventlog.head import read_head
from tiercast_shared.eventlog.models import HEAD_ID, Head
from tiercast_shared.eventlog.publication import Publication, read_publication
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_shared.messaging.broker import HeaderValue


def event_of(entry: Entry | SignalLogEntry) -> LogEvent:
    """An entry as it is published."""
    headers: dict[str, HeaderValue] = {
        "feed": str(entry.feed),
        "symbol": entry.symbol,
        "received_at": entry.received_at,
    }
    if entry.standard_seq is not None:
        headers["standard_seq"] = entry.standard_seq
    return LogEvent(
        seq=entry.seq,
        type=SIGNAL_PUBLISHED,
        body=entry.body,
        headers=headers,
        message_id=entry.id,
        correlation_id=entry.correlation_id,
        committed_at=entry.committed_at,
    )


class SignalStore(LedgerStore):
    """The log as entries and as events, and what `LedgerStore` says of its chains. All raise `StorageUnavailable`."""

    async def head(self) -> Head:
        """Where the log ends."""
        return await read_head(self._database, SignalLogHead)

    async def entries_after(
        self, seq: int, limit: int, feed: Feed = Feed.ALL
    ) -> tuple[SignalLogHead, Sequence[SignalLogEntry]]:
        """The head, and at most `limit` entries of `feed` after position `seq`, in order."""
        following = select(SignalLogEntry).where(col(SignalLogEntry.seq) > seq, _in_feed(feed))
        return await self._page(following.order_by(col(SignalLogEntry.seq)).limit(limit))

    async def entries_before(
        self, seq: int, limit: int, feed: Feed = Feed.ALL
    ) -> tuple[SignalLogHead, Sequence[SignalLogEntry]]:
        """The head, and the last entries of `feed` before position `seq`, at most `limit`, in order."""
        preceding = select(SignalLogEntry).where(col(SignalLogEntry.seq) < seq, _in_feed(feed))
        return await self._page(preceding.order_by(col(SignalLogEntry.seq).desc()).limit(limit))

    async def _page(self, chosen: SelectOfScalar[SignalLogEntry]) -> tuple[SignalLogHead, Sequence[SignalLogEntry]]:
        page = aliased(SignalLogEntry, chosen.subquery())
        statement = (
            select(SignalLogHead, page)
            .outerjoin(page, true())
            .where(SignalLogHead.id == HEAD_ID)
            .order_by(col(page.seq))
        )
        async with self._database.reading() as session:
            rows: Sequence[tuple[SignalLogHead, SignalLogEntry | None]] = (await session.exec(statement)).all()
        return rows[0][0], [entry for _, entry in rows if entry is not None]

    async def events_after(self, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        """The same entries as they are published."""
        head, entries = await self.entries_after(seq, limit)
        return Head(head.epoch, head.seq), [event_of(entry) for entry in entries]

    async def publication(self) -> Publication:
        """How far the log is published, and by whom."""
        return await read_publication(self._database, SignalLogHead, SignalLogPublisher)


def _in_feed(feed: Feed) -> ColumnElement[bool]:
    return true() if feed is Feed.ALL else col(SignalLogEntry.standard_seq).is_not(None)
