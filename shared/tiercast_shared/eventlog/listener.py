"""Hears, within milliseconds, that some process committed to a log: PostgreSQL's LISTEN, on a connection of its own.

A notice may be missed (no connection, or SQLite, which has none), so whoever needs to know looks from time to time as well.
"""

import asyncio
from collections.abc import Callable

import asyncpg

from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.models import HeadColumns
from tiercast_shared.observability import get_logger

POLL_SECONDS = 0.1
"""How often to look while nothing can be heard."""

LISTENING_POLL_SECONDS = 1.0
"""How often to look all the same; the log may also change without a commit that moves its head, as by `epoch rotate`."""

CHECK_SECONDS = 5.0
"""A connection that is gone without a word is noticed at the next check."""

CHECK_TIMEOUT = 3.0
RETRY_SECONDS = 1.0

log = get_logger()


class CommitListener:
    """Listens to the notices that the head table's trigger sends."""

    def __init__(self, database: Database, head: type[HeadColumns]) -> None:
        self._database = database
        self._channel = str(head.__tablename__)
        self.listening = False

    def poll_seconds(self) -> float:
        """How often to look at the log oneself."""
        return LISTENING_POLL_SECONDS if self.listening else POLL_SECONDS

    async def run(self, on_commit: Callable[[int], None]) -> None:
        """Call `on_commit` with the head's new position at each notice, until cancelled; returns at once on SQLite."""
        while self._database.engine.dialect.name == "postgresql":
            try:
                await self._listen(on_commit)
            except (StorageUnavailable, TimeoutError) as error:
                log.warning("cannot hear of commits, polling meanwhile", reason=str(error), once_in=30)
            finally:
                self.listening = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, on_commit: Callable[[int], None]) -> None:
        ended = asyncio.Event()
        async with self._database.postgresql_connection() as connection:
            connection.add_termination_listener(lambda _connection: ended.set())
            await connection.add_listener(
                self._channel, lambda _connection, _process, _channel, position: on_commit(int(position))
            )
            self.listening = True
            while not ended.is_set():
                await self._stay(connection, ended)

    async def _stay(self, connection: asyncpg.Connection, ended: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await ended.wait()
        except TimeoutError:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await connection.execute("SELECT 1")
