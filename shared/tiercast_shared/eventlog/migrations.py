"""Alembic migrations that ship inside a service's package (`<package>/migrations`), so that they run from anywhere.

The package's `env.py` takes the connection from `config.attributes["connection"]` and the version table from
`config.attributes["version_table"]`.
"""

import asyncio
from collections.abc import Callable

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_shared.errors import StorageUnavailable, TiercastError
from tiercast_shared.eventlog.database import Database
from tiercast_shared.observability import get_logger

MIGRATION_LOCK = 0x7469657263617374
"""PostgreSQL advisory lock of whoever migrates ("tiercast" in ASCII)."""

RETRY_SECONDS = 1.0

log = get_logger()


class NotMigrated(TiercastError):
    """The database lacks the tables this version needs."""


async def migrate(database: Database, package: str) -> str:
    """Bring the database to the newest revision of `package` in one transaction; returns that revision.

    Running it again changes nothing, and of two at once one waits for the other: on SQLite at `BEGIN IMMEDIATE`, on PostgreSQL
    at an advisory lock.

    Raises:
        StorageUnavailable: the database is away; nothing was changed.
    """
    config = _config(package)

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.writing() as session:
        await _with_connection(session, upgrade)
    return _newest(config)


async def require_migrated(database: Database, package: str, remedy: str) -> None:
    """Check that the database knows this version's newest revision, or a newer one (a rolling upgrade migrates first).

    Raises:
        NotMigrated: it does not; the message names `remedy`, the command to run.
        StorageUnavailable: the database is away.
    """
    config = _config(package)
    current: set[str] = set()

    def read(connection: Connection) -> None:
        options = {"version_table": config.attributes["version_table"]}
        current.update(MigrationContext.configure(connection, opts=options).get_current_heads())

    async with database.reading() as session:
        await _with_connection(session, read)
    ours = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    newer = current - ours
    if _newest(config) not in current and not newer:
        state = f"is at revision {', '.join(sorted(current))}" if current else "has no tables"
        raise NotMigrated(f"the database {state}, this version needs revision {_newest(config)}: run `{remedy}`")


async def wait_until_migrated(database: Database, package: str, remedy: str) -> None:
    """Like `require_migrated`, for a service that starts: it waits for a database that is away."""
    while True:
        try:
            return await require_migrated(database, package, remedy)
        except StorageUnavailable as error:
            log.warning("waiting for the database", reason=error.message, once_in=30)
            await asyncio.sleep(RETRY_SECONDS)


async def _with_connection(session: AsyncSession, work: Callable[[Connection], None]) -> None:
    connection = await session.connection()
    await connection.run_sync(work)


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.attributes["version_table"] = f"{package}_version"  # two services may share one database
    return config


def _newest(config: Config) -> str:
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None, "the package has no migrations"
    return head
