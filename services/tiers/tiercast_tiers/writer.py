"""Commits batches of changes. `append` is the only code that writes to the tiers log."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_shared.eventlog.database import ConnectionLost, Database
from tiercast_shared.eventlog.head import lock_head
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_tiers.domain import Change, Entry, Outcome, Settlement, UserState
from tiercast_tiers.store import event_of, state_of
from tiercast_tiers.tables import TierLogEntry, TierLogHead, User

Announce = Callable[[Head, Iterable[LogEvent]], None]
"""Told of entries after their commit; `Publisher.offer` in production."""


class TierLogWriter:
    """Settles changes in order, and makes the log and the users agree, in one transaction."""

    def __init__(self, database: Database, announce: Announce, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock

    async def commit(self, changes: Sequence[Change]) -> list[Outcome | Exception]:
        """Commit a batch; one outcome for each change.

        Raises:
            StorageUnavailable: the database is away; after a lost connection the batch may have been committed.
            Unstorable: one of the changes holds a value that the database refuses; nothing was committed.
        """
        try:
            return await self._commit(changes)
        except ConnectionLost:
            # most often a pooled connection that the server had closed long ago; if it was the commit that got lost, a tier
            # that was set is found to be so already, and a revocation is written a second time, which changes nothing
            return await self._commit(changes)

    async def _commit(self, changes: Sequence[Change]) -> list[Outcome | Exception]:
        async with self._database.writing() as session:
            appended = await append(session, changes, self._clock())
        appended.announce(self._announce)
        return [*appended.outcomes]


@dataclass(frozen=True, slots=True)
class Appended:
    """What changes came to, and the entries that they made."""

    head: Head
    outcomes: Sequence[Outcome]
    entries: Sequence[TierLogEntry]

    def announce(self, announce: Announce) -> None:
        """To be called when they are committed."""
        if self.entries:
            announce(self.head, [event_of(self.head.epoch, entry) for entry in self.entries])


async def append(session: AsyncSession, changes: Sequence[Change], now: float) -> Appended:
    """Settle changes in order within the transaction of `session`, which holds the head's lock from here on."""
    head = await lock_head(session, TierLogHead)
    rows = await _users(session, {change.user_id for change in changes})
    users = {user_id: state_of(row) for user_id, row in rows.items()}
    settlement = Settlement(head.epoch, head.seq, head.chain, users, now)
    outcomes = [settlement.settle(change) for change in changes]
    entries = [_row(entry) for entry in settlement.entries]
    if entries:
        await session.exec(insert(TierLogEntry), params=[entry.model_dump() for entry in entries])
        _write_back(session, rows, settlement.users)
        head.seq, head.chain = settlement.seq, settlement.chain
    return Appended(Head(settlement.epoch, settlement.seq), outcomes, entries)


async def _users(session: AsyncSession, user_ids: Iterable[str]) -> dict[str, User]:
    rows = await session.exec(select(User).where(col(User.user_id).in_(user_ids)))
    return {row.user_id: row for row in rows}


def _write_back(session: AsyncSession, rows: dict[str, User], users: dict[str, UserState]) -> None:
    for user_id, state in users.items():
        if user_id in rows:
            rows[user_id].sqlmodel_update(asdict(state))
        else:
            session.add(User(user_id=user_id, **asdict(state)))


def _row(entry: Entry) -> TierLogEntry:
    return TierLogEntry(
        seq=entry.seq,
        body=entry.body,
        chain=entry.chain,
        correlation_id=entry.origin.correlation_id,
        received_at=entry.origin.received_at,
        committed_at=entry.committed_at,
        type=entry.type,
        user_id=entry.user_id,
        tier=entry.tier,
        previous_tier=entry.previous_tier,
        reason=entry.reason,
        actor=entry.origin.actor,
    )
