"""Takes connections that resume from before the rings begin to where they do, a page at a time, in turn.

A page is filtered by the feed and the symbols of the moment at which it is written, not of the moment at which it was asked for.
"""

import asyncio
from collections.abc import Callable

from tiercast_gateway.connection import Connection, Flow
from tiercast_gateway.late import missed_frame, wanted
from tiercast_gateway.missed import Missed, MissedSignals
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.errors import Unavailable
from tiercast_shared.observability import get_logger

PAGE = 500
WORKERS = 4
"""Pages asked for at the same time: a storm of stragglers must not take ingest from its producers."""

ATTEMPTS = 10
RETRY_SECONDS = 0.5

log = get_logger()


class Backfill:
    """Sends pages of the log until the hub can take over."""

    def __init__(
        self,
        missed: MissedSignals,
        *,
        on_reached: Callable[[Connection, int], None],
        on_incomplete: Callable[[Connection, str], None],
        page: int = PAGE,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._missed = missed
        self._on_reached = on_reached
        self._on_incomplete = on_incomplete
        self._page = page
        self._retry_seconds = retry_seconds
        self._queue: asyncio.Queue[Connection] = asyncio.Queue()
        self._failures: dict[Connection, int] = {}

    def begin(self, connection: Connection, position: int) -> None:
        """Send everything after `position`; `on_reached` takes over where the rings begin."""
        connection.position = position
        connection.flow = Flow.BACKFILLING
        self._queue.put_nowait(connection)

    def drained(self, connection: Connection) -> None:
        """A congested connection takes more."""
        if connection.flow is Flow.BACKFILLING:
            self._queue.put_nowait(connection)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            connection = await self._queue.get()
            feed, position = connection.feed, connection.position
            try:
                missed = await self._missed.after(feed, position, self._page)
            except Unavailable as error:
                await self._failed(connection, error)
            else:
                self._failures.pop(connection, None)
                self._take(connection, feed, position, missed)

    def _take(self, connection: Connection, feed: Feed, position: int, missed: Missed) -> None:
        if connection.flow is not Flow.BACKFILLING or connection.position != position:
            return  # gone, or elsewhere, while the page was on its way
        if connection.feed is feed:
            self._send(connection, missed)
        else:  # its tier changed meanwhile: this page may be more than it is entitled to
            self._queue.put_nowait(connection)

    def _send(self, connection: Connection, missed: Missed) -> None:
        if missed.problem is not None:
            self._on_incomplete(connection, missed.problem)
            return
        frames = [missed_frame(connection, item) for item in missed.items if wanted(connection, item.entry)]
        connection.position = missed.reached
        if frames:
            connection.send(b"".join(frames))
        if connection.flow is Flow.BACKFILLING:
            self._on_reached(connection, missed.reached)

    async def _failed(self, connection: Connection, error: Unavailable) -> None:
        failures = self._failures.pop(connection, 0) + 1
        if failures == 1:
            log.warning("a resuming client waits for the signal log", reason=error.message)
        await asyncio.sleep(self._retry_seconds)
        if connection.flow is not Flow.BACKFILLING:
            return
        if failures >= ATTEMPTS:
            self._on_incomplete(connection, "log_unavailable")
        else:
            self._failures[connection] = failures
            self._queue.put_nowait(connection)
