"""Commands that work on the database directly."""

from tiercast_ingest.app import PACKAGE
from tiercast_ingest.settings import DatabaseSettings
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate


async def migrate_database(settings: DatabaseSettings) -> str:
    """Create or upgrade the tables; returns the revision reached."""
    async with Database.open(settings.database_url.get_secret_value()) as database:
        return await migrate(database, PACKAGE)
