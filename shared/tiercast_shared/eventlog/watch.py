"""Looks at the database every second, so that readiness and the backlog are answered from memory."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tiercast_shared.errors import Unavailable
from tiercast_shared.eventlog.publication import Publication

LOOK_SECONDS = 1.0
LOOK_TIMEOUT = 3.0

DATABASE_SILENT_SECONDS = 5.0
"""Not ready when the database has not answered for longer."""


class LogWatch:
    """What was last seen of the database and of publishing. `read` asks the database.

    `on_look` is told what it said, and for how many seconds the oldest entry has been waiting to be published.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Publication]],
        on_look: Callable[[Publication, float], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._on_look = on_look
        self._clock = clock
        self._answered_at = clock()
        self._seen = Publication(0, 0, None)
        self._waiting: deque[tuple[int, float]] = deque()
        """Heads that are not published yet, and when each was first seen."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with suppress(Unavailable, TimeoutError):  # readiness says so
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once.

        Raises:
            StorageUnavailable, TimeoutError: the database did not answer.
        """
        async with asyncio.timeout(LOOK_TIMEOUT):
            publication = await self._read()
        self._answered_at = self._clock()
        if publication.head != self._seen.head:
            self._waiting.append((publication.head, self._answered_at))
        while self._waiting and self._waiting[0][0] <= publication.published:
            self._waiting.popleft()
        self._seen = publication
        self._on_look(publication, self._lag)

    @property
    def backlog(self) -> int:
        """Entries that were committed and not published, by whichever replica, at the last look."""
        return self._seen.head - self._seen.published

    @property
    def _lag(self) -> float:
        """Seconds since a look first saw an entry that is not published yet."""
        return self._answered_at - self._waiting[0][1] if self._waiting else 0.0

    def database_problem(self) -> str | None:
        """A readiness check. Whether anything is published is none: what is stored meanwhile is published later."""
        silent = self._clock() - self._answered_at
        if silent <= DATABASE_SILENT_SECONDS:
            return None
        return f"the database has not answered for {silent:.0f} s"
