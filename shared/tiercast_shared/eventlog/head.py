"""Locking the head row makes a transaction the log's only writer."""

from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Update, update
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.models import HEAD_ID, Head, HeadColumns

HeadRow = TypeVar("HeadRow", bound=HeadColumns)


async def read_head(database: Database, row: type[HeadColumns]) -> Head:
    """Where a log ends.

    Raises:
        StorageUnavailable: the database is away.
    """
    found = await database.row(_reading(row))
    return Head(found.epoch, found.seq)


async def lock_head(session: AsyncSession, row: type[HeadRow]) -> HeadRow:
    """Lock and return the head row; it is written back when the session commits.

    On PostgreSQL by `FOR UPDATE`, and at READ COMMITTED what was committed meanwhile is visible after the wait. On SQLite the
    session's `BEGIN IMMEDIATE` has locked the whole database already, and the clause compiles to nothing.
    """
    head: HeadRow = (await session.exec(_locking(row))).one()
    return head


def lock_head_row(connection: Connection, row: type[HeadColumns]) -> Row[Any]:
    """As `lock_head`, in a transaction without a session: `move_head` writes it back."""
    return connection.execute(_locking(row)).one()


def move_head(connection: Connection, row: type[HeadColumns], **columns: object) -> None:
    """Change the head row, whose lock is held."""
    connection.execute(_moving(row), columns)


@cache
def _reading(row: type[HeadColumns]) -> Select[str, int]:
    return columns(col(row.epoch), col(row.seq)).where(col(row.id) == HEAD_ID)


@cache
def _moving(row: type[HeadColumns]) -> Update:
    return update(row).where(col(row.id) == HEAD_ID)


@cache
def _locking(row: type[HeadRow]) -> SelectOfScalar[HeadRow]:
    """To put a statement together costs more than to run it."""
    return select(row).where(row.id == HEAD_ID).with_for_update()
