"""Commits batches of submissions. It is the only code that writes to the signal log."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import cast

from sqlalchemy import Table, insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_ingest.domain.settlement import Entry, Key, Known, LogEnd, Settlement, Stored, Submission
from tiercast_ingest.store import event_of
from tiercast_ingest.tables import ArchivedSignal, SignalLogEntry, SignalLogHead
from tiercast_shared.eventlog.database import ConnectionLost, Database
from tiercast_shared.eventlog.head import lock_head
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent

Announce = Callable[[Head, Sequence[LogEvent]], None]
"""Told of entries after their commit; `Publisher.offer` in production."""

SIGNAL_LOG = cast("Table", SignalLogEntry.__table__)  # type: ignore[attr-defined]
COLUMNS = tuple(column.name for column in fields(Entry))


class SignalWriter:
    """Settles submissions in order and appends the new ones, in one transaction."""

    def __init__(self, database: Database, announce: Announce, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock

    async def commit(self, batch: Sequence[Submission]) -> list[Stored | Exception]:
        """Commit a batch; one outcome for each submission, in order: stored, or the `Rejected` that it earned.

        Raises:
            StorageUnavailable: the database is away; after a lost connection the batch may have been committed.
            Unstorable: one of them holds a value that the database refuses; nothing was committed.
        """
        try:
            return await self._commit(batch)
        except ConnectionLost:
            # most often a pooled connection that the server had closed long ago; if it was the commit that got lost, the
            # submissions are found in the log under their own ids and count as new
            return await self._commit(batch)

    async def _commit(self, batch: Sequence[Submission]) -> list[Stored | Exception]:
        async with self._database.writing() as session:
            head = await lock_head(session, SignalLogHead)
            known = await _known(session, batch, SignalLogEntry)
            if head.floor:
                known = await _known(session, batch, ArchivedSignal) | known
            settlement = Settlement(_end(head), known, self._clock())
            outcomes: list[Stored | Exception] = [settlement.settle(submission) for submission in batch]
            if settlement.entries:
                await session.exec(insert(SIGNAL_LOG), params=[_row(entry) for entry in settlement.entries])
                _move(head, settlement.end)
            epoch = head.epoch
        if settlement.entries:
            self._announce(Head(epoch, settlement.end.seq), [event_of(entry) for entry in settlement.entries])
        return outcomes


async def _known(
    session: AsyncSession, batch: Iterable[Submission], row: type[SignalLogEntry | ArchivedSignal]
) -> dict[Key, Known]:
    names: dict[str, list[str]] = defaultdict(list)
    for submission in batch:
        names[submission.producer].append(submission.signal.content.signal_id)
    known: dict[Key, Known] = {}
    for producer, signal_ids in names.items():
        statement = select(row.signal_id, row.id, row.fingerprint, row.seq).where(
            row.producer == producer, col(row.signal_id).in_(_padded(signal_ids))
        )
        for signal_id, wire_id, fingerprint, seq in await session.exec(statement):
            known[producer, signal_id] = Known(wire_id, fingerprint, seq)
    return known


def _padded(values: list[str]) -> list[str]:
    """Repeat the last value up to a power of two, so that few different statements need to be prepared."""
    size = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))


def _row(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in COLUMNS}


def _end(head: SignalLogHead) -> LogEnd:
    return LogEnd(head.seq, head.chain, head.standard_seq, head.standard_chain, head.server_timestamp)


def _move(head: SignalLogHead, end: LogEnd) -> None:
    head.seq = end.seq
    head.chain = end.chain
    head.standard_seq = end.standard_seq
    head.standard_chain = end.standard_chain
    head.server_timestamp = end.server_timestamp
