"""Migrations of the ingest database."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from tests.support.ingest import Submitter
from tests.support.producers import standard
from tiercast_ingest import commands
from tiercast_ingest.app import MIGRATE, PACKAGE
from tiercast_ingest.settings import DatabaseSettings
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import Producer, ProducerKey, SignalLogEntry, SignalLogHead, SignalLogPublisher
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import NotMigrated, migrate, require_migrated

TABLES = [model.__table__ for model in (SignalLogEntry, SignalLogHead, SignalLogPublisher, Producer, ProducerKey)]


def settings(url: str) -> DatabaseSettings:
    return DatabaseSettings(INGEST_DATABASE_URL=url)


async def test_a_database_without_tables_is_refused_with_the_command_to_run(database_url: str):
    async with Database.open(database_url) as database:
        with pytest.raises(NotMigrated, match="run `tiercast-ingest migrate`"):
            await require_migrated(database, PACKAGE, MIGRATE)


async def test_migrating_again_and_twice_at_once_changes_nothing(database_url: str):
    async with Database.open(database_url) as one, Database.open(database_url) as two:
        await asyncio.gather(migrate(one, PACKAGE), migrate(two, PACKAGE))
        epoch = (await SignalStore(one).head()).epoch
        await migrate(one, PACKAGE)
        assert (await SignalStore(two).head()).epoch == epoch
        await require_migrated(one, PACKAGE, MIGRATE)


async def test_the_migrations_make_the_tables_of_the_models(database: Database):
    metadata = MetaData()
    for table in TABLES:
        table.to_metadata(metadata)

    def differences(connection: Connection) -> list[object]:
        ours = {table.name for table in TABLES}

        def include(_object: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "table" or name in ours

        options = {"include_object": include, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_each_log_begins_with_an_epoch_of_its_own(sqlite_url: str, postgres_url: str):
    epochs = set()
    for url in (sqlite_url, postgres_url):
        await commands.migrate_database(settings(url))
        async with Database.open(url) as database:
            head = await SignalStore(database).head()
            assert head.seq == 0
            epochs.add(head.epoch)
    assert len(epochs) == 2


async def test_a_new_epoch_moves_a_cursor_that_is_beyond_the_log_back(
    database: Database, database_url: str, submitter: Submitter, store: SignalStore
):
    await submitter.commit(standard(), standard())
    async with database.writing() as session:
        row = await session.get(SignalLogPublisher, 1)
        row.published = 9
    before = (await store.head()).epoch
    old, new = await commands.rotate_epoch(settings(database_url))
    assert (old, (await store.head()).epoch) == (before, new)
    assert old != new
    assert (await store.publication()).published == 2
    verdict = await commands.verify_ledger(settings(database_url))
    assert (verdict.entries, verdict.broken_at) == (2, None)
