"""Locking the head row makes a transaction the log's only writer."""

from typing import TypeVar

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_shared.eventlog.models import HEAD_ID, HeadColumns

HeadRow = TypeVar("HeadRow", bound=HeadColumns)


async def lock_head(session: AsyncSession, row: type[HeadRow]) -> HeadRow:
    """Lock and return the head row; it is written back when the session commits.

    On PostgreSQL by `FOR UPDATE`, and at READ COMMITTED what was committed meanwhile is visible after the wait. On SQLite the
    session's `BEGIN IMMEDIATE` has locked the whole database already, and the clause compiles to nothing.
    """
    statement = select(row).where(row.id == HEAD_ID).with_for_update()
    return (await session.exec(statement)).one()
