"""Commands that work on the database directly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import col

from tiercast_ingest import ledger, ledger_lines
from tiercast_ingest.app import MIGRATE, PACKAGE
from tiercast_ingest.archive import archive
from tiercast_ingest.domain.chain_walk import Verdict
from tiercast_ingest.settings import DatabaseSettings
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogHead, SignalLogPublisher
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.head import lock_head
from tiercast_shared.eventlog.migrations import migrate, require_migrated


@asynccontextmanager
async def migrated_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """The database, known to have this version's tables."""
    async with Database.open(settings.database_url.get_secret_value()) as database:
        await require_migrated(database, PACKAGE, MIGRATE)
        yield database


async def migrate_database(settings: DatabaseSettings) -> str:
    """Create or upgrade the tables; returns the revision reached."""
    async with Database.open(settings.database_url.get_secret_value()) as database:
        return await migrate(database, PACKAGE)


async def verify_ledger(settings: DatabaseSettings, start: int = 1, end: int = ledger.MAX_POSITION) -> Verdict:
    """Recompute both chains from position `start` to `end`."""
    async with migrated_database(settings) as database:
        return (await ledger.verify_range(SignalStore(database), start, end)).verdict


async def export_ledger(settings: DatabaseSettings, feed: Feed, out: BinaryIO) -> int:
    """Write the whole chain of `feed` to `out` as lines of JSON; returns how many lines."""
    count = 0
    async with migrated_database(settings) as database:
        async for line in ledger_lines.lines(SignalStore(database), feed):
            out.write(line)
            count += 1
    return count


async def archive_ledger(settings: DatabaseSettings, before: int, out: Path) -> int:
    """Move all entries before position `before` to a new file; returns how many."""
    async with migrated_database(settings) as database:
        return await archive(database, before, out)


async def rotate_epoch(settings: DatabaseSettings) -> tuple[str, str]:
    """Begin a new epoch: every receiver fetches anew. Returns the old and the new one.

    Used after a database was restored: the log may end earlier than it was published, so the cursor is moved back to its end.
    """
    async with migrated_database(settings) as database, database.writing() as session:
        head = await lock_head(session, SignalLogHead)
        old, head.epoch = head.epoch, uuid4().hex
        beyond = col(SignalLogPublisher.published) > head.seq
        await session.exec(update(SignalLogPublisher).where(beyond).values(published=head.seq))
        return old, head.epoch
