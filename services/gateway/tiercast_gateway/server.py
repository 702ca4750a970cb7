"""uvicorn's server, draining before it stops."""

import asyncio
from types import FrameType

import uvicorn

from tiercast_gateway.drain import Drain
from tiercast_shared.serving import Server


class DrainingServer(Server):
    """On the first signal the listener stays open, for health checks and 503s, until the drain is over; a second one hurries it.

    uvicorn alone would close its listener at once, and does not know the sockets that the edge has taken over.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """A signal asks to stop."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain_and_exit())
        else:
            self._drain.hurry()

    async def _drain_and_exit(self) -> None:
        try:
            await self._drain.run()
        finally:
            self.should_exit = True
