"""Leaving without loss and without a herd: clients are sent elsewhere in waves, each with a delay of its own."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

from tiercast_gateway.sessions import Sessions
from tiercast_gateway.streams import Streams
from tiercast_shared.observability import get_logger

WAVE_SECONDS = 0.1
MAX_RETRY_MS = 1000
"""Each client waits a random time up to this before it comes back elsewhere."""

FAREWELL_SECONDS = 2.0
"""For clients to answer their close frames."""

log = get_logger()


class Drain:
    """Sends all connections away within `seconds`; told again to, at once."""

    def __init__(
        self,
        sessions: Sessions,
        streams: Streams,
        *,
        seconds: float,
        wave_seconds: float = WAVE_SECONDS,
        farewell_seconds: float = FAREWELL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._streams = streams
        self._seconds = seconds
        self._wave_seconds = wave_seconds
        self._farewell_seconds = farewell_seconds
        self._clock = clock
        self._hurry = asyncio.Event()
        self.draining = False

    def refusal(self) -> str | None:
        """Why nobody is let in any more, for upgrades and `/readyz`."""
        return "this replica is draining" if self.draining else None

    def hurry(self) -> None:
        """Send away everyone who is left at once."""
        self._hurry.set()

    async def run(self) -> None:
        """Send everyone away; returns when all are gone or have had time to be."""
        self.draining = True
        self._streams.end_all()  # they come back by themselves, a second later
        waiting = list(self._sessions)
        log.info("draining", connections=len(waiting), seconds=self._seconds)
        random.shuffle(waiting)
        ends = self._clock() + self._seconds
        while waiting:
            waves = max(1, int((ends - self._clock()) / self._wave_seconds))
            size = len(waiting) if self._hurry.is_set() else -(-len(waiting) // waves)
            for connection in waiting[:size]:
                self._sessions.send_away(connection, random.randint(0, MAX_RETRY_MS))  # noqa: S311 - spreads load, hides nothing
            del waiting[:size]
            if waiting:
                await self._pause(self._wave_seconds)
        await self._farewell()
        log.info("drained")

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def _farewell(self) -> None:
        deadline = self._clock() + self._farewell_seconds
        while self._sessions.leaving and self._clock() < deadline:  # noqa: ASYNC110 - a deadline over many
            await asyncio.sleep(self._wave_seconds)
