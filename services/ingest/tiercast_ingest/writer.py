"""Commits batches of submissions. It is the only code that writes to the signal log."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Dialect, Row, Table, bindparam, insert
from sqlmodel import col, select

from tiercast_ingest.domain.settlement import Entry, Key, Known, LogEnd, Settlement, Stored, Submission
from tiercast_ingest.store import event_of
from tiercast_ingest.tables import ArchivedSignal, SignalLogEntry, SignalLogHead
from tiercast_shared.eventlog.database import ConnectionLost, Database
from tiercast_shared.eventlog.head import lock_head_row, move_head
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent

Announce = Callable[[Head, Sequence[LogEvent]], None]
"""Told of entries after their commit; `Publisher.offer` in production."""

SIGNAL_LOG = cast("Table", SignalLogEntry.__table__)  # type: ignore[attr-defined]


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
        appended = await self._database.transaction(lambda connection: append(connection, batch, self._clock()))
        if appended.entries:
            self._announce(appended.head, [event_of(entry) for entry in appended.entries])
        return appended.outcomes


@dataclass(frozen=True, slots=True)
class Appended:
    """What submissions came to, and the entries that they made."""

    head: Head
    outcomes: list[Stored | Exception]
    entries: Sequence[Entry]


def append(connection: Connection, batch: Sequence[Submission], now: float) -> Appended:
    """Settle submissions in order within a transaction, which holds the head's lock from here on."""
    head = lock_head_row(connection, SignalLogHead)
    known = _known(connection, batch, SignalLogEntry)
    if head.floor:
        known = _known(connection, batch, ArchivedSignal) | known
    settlement = Settlement(_end(head), known, now)
    outcomes: list[Stored | Exception] = [settlement.settle(submission) for submission in batch]
    if settlement.entries:
        connection.exec_driver_sql(_inserting(connection.dialect), settlement.entries)
        move_head(connection, SignalLogHead, **settlement.end._asdict())
    return Appended(Head(head.epoch, settlement.end.seq), outcomes, settlement.entries)


def _known(
    connection: Connection, batch: Iterable[Submission], row: type[SignalLogEntry | ArchivedSignal]
) -> dict[Key, Known]:
    names: dict[str, list[str]] = defaultdict(list)
    for submission in batch:
        names[submission.producer].append(submission.signal.content.signal_id)
    known: dict[Key, Known] = {}
    for producer, signal_ids in names.items():
        values = (producer, *_padded(signal_ids))
        for signal_id, *found in connection.exec_driver_sql(_finding(connection.dialect, row, len(values) - 1), values):
            known[producer, signal_id] = Known(*found)
    return known


@cache
def _finding(dialect: Dialect, row: type[SignalLogEntry | ArchivedSignal], size: int) -> str:
    """What finds signals by producer and `size` names, in the database's words: to put it together costs more than to run it."""
    names: list[BindParameter[str]] = [bindparam(f"signal_id_{place}") for place in range(size)]
    found = select(row.signal_id, row.id, row.fingerprint, row.seq)
    return str(
        found.where(row.producer == bindparam("producer"), col(row.signal_id).in_(names)).compile(dialect=dialect)
    )


@cache
def _inserting(dialect: Dialect) -> str:
    """What inserts an `Entry`, in the database's words."""
    assert Entry._fields == tuple(SIGNAL_LOG.columns.keys()), "values go by their places"
    return str(insert(SIGNAL_LOG).compile(dialect=dialect))


def _padded(values: list[str]) -> list[str]:
    """Repeat the last value up to a power of two, so that few different statements need to be prepared."""
    size = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))


def _end(head: Row[Any]) -> LogEnd:
    return LogEnd(head.seq, head.chain, head.standard_seq, head.standard_chain, head.server_timestamp)
