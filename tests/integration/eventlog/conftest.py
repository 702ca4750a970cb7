"""A log to publish: ingest's."""

from collections.abc import AsyncIterator

import pytest

from tests.support.ingest import Submitter
from tiercast_ingest.app import PACKAGE
from tiercast_ingest.store import SignalStore
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url) as database:
        await migrate(database, PACKAGE)
        yield database


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[Database]:
    """For what does not depend on the kind of database."""
    async with Database.open(sqlite_url) as database:
        await migrate(database, PACKAGE)
        yield database


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncIterator[Database]:
    """For what only PostgreSQL does."""
    async with Database.open(postgres_url) as database:
        await migrate(database, PACKAGE)
        yield database


@pytest.fixture
def store(database: Database) -> SignalStore:
    return SignalStore(database)


@pytest.fixture
def submitter(database: Database) -> Submitter:
    return Submitter(database)
