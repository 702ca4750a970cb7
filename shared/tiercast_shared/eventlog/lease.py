"""The right to publish a log: a row with a holder and an end by the database's clock.

A session lock would survive a stopped process and, on a lost node, hours of TCP; a lease ends by itself. A holder that does not
know yet that it lost the lease (a zombie) is harmless: it publishes the same bodies under the same positions.
"""

import os
import socket
from typing import Any
from uuid import uuid4

from sqlalchemy import Float, and_, or_, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from tiercast_shared.errors import TiercastError
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.models import PublisherColumns

LEASE_SECONDS = 3.0
RENEW_SECONDS = 1.0


class LeaseLost(TiercastError):
    """Somebody else publishes now."""


class unix_now(FunctionElement[float]):  # noqa: N801 - SQL functions are lower-case
    """The database's clock as Unix seconds."""

    type = Float()
    inherit_cache = True


@compiles(unix_now, "postgresql")
def _postgresql(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(unix_now, "sqlite")
def _sqlite(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def replica_name() -> str:
    """Names this process as a holder, so that an operator finds it and no two are the same."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


class PublisherLease:
    """The lease of one log as `holder` sees it."""

    def __init__(self, database: Database, row: type[PublisherColumns], holder: str) -> None:
        self._database = database
        self._row = row
        self.holder = holder

    async def take(self) -> int | None:
        """Take or renew the lease; returns the cursor (highest confirmed `seq`), or None while somebody else holds it."""
        row = self._row
        free = or_(col(row.holder) == self.holder, col(row.until) < unix_now())
        statement = (
            update(row)
            .where(free)
            .values(holder=self.holder, until=unix_now() + LEASE_SECONDS)
            .returning(col(row.published))
        )
        rows = await self._database.execute(statement)
        return rows[0][0] if rows else None

    async def save(self, published: int, before: int) -> None:
        """Move the cursor from `before`, where this holder left it, to `published`.

        Raises:
            LeaseLost: somebody else holds the lease, or has moved the cursor, as a restored database does; it stays.
        """
        row = self._row
        # `published` counts as well: the statement may be repeated after its commit got lost
        mine = and_(col(row.holder) == self.holder, col(row.published).in_((before, published)))
        statement = update(row).where(mine).values(published=published).returning(col(row.id))
        if not await self._database.execute(statement):
            raise LeaseLost(f"the cursor of {self.holder} is not at {before} any more, or the lease is another's")

    async def release(self) -> None:
        """Give the lease up at once, so that another replica need not wait for its end."""
        row = self._row
        statement = update(row).where(col(row.holder) == self.holder).values(holder=None, until=0.0)
        await self._database.execute(statement)
