"""Reads users and the tiers log. Each answer comes from one statement, so that it shows one moment of the database."""

from collections.abc import Iterable, Sequence

from sqlalchemy import and_, true
from sqlalchemy import select as columns
from sqlmodel import col, select

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.head import read_head
from tiercast_shared.eventlog.models import HEAD_ID, Head
from tiercast_shared.eventlog.publication import Publication, read_publication
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_tiers.domain import TIER_CHANGED, UserState
from tiercast_tiers.tables import TierLogEntry, TierLogHead, TierLogPublisher, User

USER_COLUMNS = (
    col(User.user_id),
    col(User.tier),
    col(User.version),
    col(User.changed_at),
    col(User.tokens_valid_after),
)
"""A lookup reads a thousand users; as columns they cost a third of what they cost as objects."""

LookupRow = tuple[str, int, str | None, str, int, float | None, float | None]
"""The head's epoch and seq, and those columns; they are all null in the one row that comes when no user is known."""


def state_of(user: User) -> UserState:
    """A row as the domain sees it."""
    return UserState(Tier(user.tier), user.version, user.changed_at, user.tokens_valid_after)


def event_of(epoch: str, entry: TierLogEntry) -> LogEvent:
    """An entry as it is published."""
    return LogEvent(
        seq=entry.seq,
        type=entry.type,
        body=entry.body,
        headers={},
        message_id=f"{epoch}-{entry.seq}",
        correlation_id=entry.correlation_id,
        committed_at=entry.committed_at,
    )


class TierStore:
    """What is in the database. All methods raise `StorageUnavailable` while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> Head:
        """Where the log ends."""
        return await read_head(self._database, TierLogHead)

    async def user(self, user_id: str) -> UserState:
        """One user; a starter if nobody has heard of them."""
        async with self._database.reading() as session:
            row = await session.get(User, user_id)
        return UserState() if row is None else state_of(row)

    async def users(self, user_ids: Iterable[str]) -> tuple[Head, dict[str, UserState]]:
        """The head, and those of the users who have a row, as they are at that head."""
        statement = (
            columns(col(TierLogHead.epoch), col(TierLogHead.seq), *USER_COLUMNS)
            .outerjoin(User, col(User.user_id).in_(user_ids))
            .where(col(TierLogHead.id) == HEAD_ID)
        )
        async with self._database.reading() as session:
            rows: Sequence[LookupRow] = (await (await session.connection()).execute(statement)).all()
        known = {
            user_id: UserState(Tier(tier), version, changed_at, tokens_valid_after)
            for _, _, user_id, tier, version, changed_at, tokens_valid_after in rows
            if user_id is not None
        }
        return Head(*rows[0][:2]), known

    async def entries_after(self, seq: int, limit: int) -> tuple[Head, Sequence[TierLogEntry]]:
        """The head, and at most `limit` entries from `seq` + 1 on, in order."""
        # positions have no gaps, so a range bounds the result without a sort of all that follows
        following = and_(col(TierLogEntry.seq) > seq, col(TierLogEntry.seq) <= seq + limit)
        statement = (
            select(TierLogHead, TierLogEntry)
            .outerjoin(TierLogEntry, following)
            .where(TierLogHead.id == HEAD_ID)
            .order_by(col(TierLogEntry.seq))
        )
        async with self._database.reading() as session:
            rows: Sequence[tuple[TierLogHead, TierLogEntry | None]] = (await session.exec(statement)).all()
        head = rows[0][0]
        return Head(head.epoch, head.seq), [entry for _, entry in rows if entry is not None]

    async def events_after(self, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        """The same entries as they are published."""
        head, entries = await self.entries_after(seq, limit)
        return head, [event_of(head.epoch, entry) for entry in entries]

    async def history(self, user_id: str, *, before: int | None, limit: int) -> Sequence[TierLogEntry]:
        """A user's changes of tier, newest first, at most `limit`, below position `before` if it is given."""
        earlier = true() if before is None else col(TierLogEntry.seq) < before
        statement = (
            select(TierLogEntry)
            .where(TierLogEntry.user_id == user_id, TierLogEntry.type == TIER_CHANGED, earlier)
            .order_by(col(TierLogEntry.seq).desc())
            .limit(limit)
        )
        async with self._database.reading() as session:
            return (await session.exec(statement)).all()

    async def publication(self) -> Publication:
        """How far the log is published, and by whom."""
        return await read_publication(self._database, TierLogHead, TierLogPublisher)
