"""A migrated tiers database, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate
from tiercast_tiers.app import PACKAGE
from tiercast_tiers.store import TierStore
from tiercast_tiers.writer import TierLogWriter


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url) as database:
        await migrate(database, PACKAGE)
        yield database


@pytest.fixture
def store(database: Database) -> TierStore:
    return TierStore(database)


@pytest.fixture
def writer(database: Database) -> TierLogWriter:
    """A writer that nobody listens to."""
    return TierLogWriter(database, lambda _head, _events: None)
