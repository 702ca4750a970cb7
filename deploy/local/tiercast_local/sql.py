"""PostgreSQL from code without an event loop of its own: single statements, and whole databases."""

import asyncio
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import asyncpg


class DatabaseServer(ABC):
    """A PostgreSQL server on which databases can be made."""

    @abstractmethod
    def url(self, database: str = "postgres", driver: str = "postgresql") -> str:
        """Return the URL of a database, for SQLAlchemy when `driver` names one (`postgresql+asyncpg`)."""

    def version(self) -> str:
        """Return the version the running server tells."""
        return str(fetch_value(self.url(), "SHOW server_version")).split()[0]

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of `template` and return its `postgresql+asyncpg://` URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name, "postgresql+asyncpg")

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the sessions that still use it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement on a session of its own."""
        fetch_value(self.url(database), statement)

    def answers(self) -> bool:
        """Tell whether a statement can be run now."""
        try:
            self.execute("SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True


def fetch_value(url: str, statement: str) -> object:
    """Run `statement` on a session of its own and return its first value; `url` names no driver.

    Works in a thread apart, so that it may be called while this thread runs an event loop.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetch_value(url, statement)).result()


async def _fetch_value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
