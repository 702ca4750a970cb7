"""The migrations, on both kinds of database."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlmodel import select

from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import NotMigrated, migrate, require_migrated
from tiercast_tiers.app import MIGRATE, PACKAGE
from tiercast_tiers.tables import (
    BillingCustomer,
    BillingEventRow,
    BillingSubscription,
    BillingUser,
    TierLogEntry,
    TierLogHead,
    TierLogPublisher,
    User,
)

MODELS = (
    User,
    TierLogEntry,
    TierLogHead,
    TierLogPublisher,
    BillingEventRow,
    BillingCustomer,
    BillingSubscription,
    BillingUser,
)
TABLES = {table.__table__.name for table in MODELS}


async def test_migrations_make_exactly_the_tables_that_the_code_uses(database: Database):
    def differences(connection: Connection) -> list[object]:
        ours = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _item, name, kind, _reflected, _other: kind != "table" or name in TABLES,
            },
        )
        return compare_metadata(ours, User.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(lambda c: set(inspect(c).get_table_names())) == TABLES | {
            "tiercast_tiers_version"
        }
        assert await connection.run_sync(differences) == []


async def test_a_new_log_starts_empty_with_an_epoch_of_its_own(database: Database):
    async with database.reading() as session:
        head = (await session.exec(select(TierLogHead))).one()
        publisher = (await session.exec(select(TierLogPublisher))).one()
    assert (head.seq, head.chain) == (0, GENESIS)
    assert len(head.epoch) == 32
    assert (publisher.published, publisher.holder) == (0, None)


async def test_migrating_again_changes_nothing(database: Database):
    async with database.reading() as session:
        before = (await session.exec(select(TierLogHead))).one().epoch
    assert await migrate(database, PACKAGE) == "0004"
    async with database.reading() as session:
        assert (await session.exec(select(TierLogHead))).one().epoch == before


async def test_several_that_migrate_at_once_make_one_log(database_url: str):
    async def one() -> str:
        async with Database.open(database_url) as database:
            return await migrate(database, PACKAGE)

    assert await asyncio.gather(*(one() for _ in range(5))) == ["0004"] * 5
    async with Database.open(database_url) as database, database.reading() as session:
        assert len((await session.exec(select(TierLogHead))).all()) == 1


async def test_an_empty_database_is_refused_with_the_command_to_run(database_url: str):
    async with Database.open(database_url) as database:
        with pytest.raises(
            NotMigrated, match=r"has no tables, this version needs revision 0004: run `tiercast-tiers migrate`"
        ):
            await require_migrated(database, PACKAGE, MIGRATE)


async def test_a_database_that_a_newer_version_has_migrated_is_accepted(database: Database):
    await require_migrated(database, PACKAGE, MIGRATE)
    async with database.writing() as session:
        await (await session.connection()).execute(text("UPDATE tiercast_tiers_version SET version_num = '9999'"))
    await require_migrated(database, PACKAGE, MIGRATE)


async def test_a_database_that_is_away_is_told_from_one_without_tables():
    async with Database.open("postgresql+asyncpg://nobody@127.0.0.1:1/none") as database:
        with pytest.raises(StorageUnavailable):
            await require_migrated(database, PACKAGE, MIGRATE)
