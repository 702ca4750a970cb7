"""A user who stays through an upgrade: reconnects wherever there is a gateway, with the last cursor."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from websockets.exceptions import WebSocketException

from tests.support.clients import Frame, SocketClient

RETRY_SECONDS = 0.2


class StayingClient:
    """Collects signals over many connections until cancelled; `connect` is given the cursor to resume from."""

    def __init__(self, connect: Callable[[str | None], SocketClient]) -> None:
        self._connect = connect
        self.signals: list[Frame] = []
        self.connections = 0
        self.resyncs = 0
        self._cursor: str | None = None

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.signals]

    async def run(self) -> None:
        while True:
            with suppress(OSError, WebSocketException):
                await self._stay()
            await asyncio.sleep(RETRY_SECONDS)

    async def _stay(self) -> None:
        async with self._connect(self._cursor) as client:
            self.connections += 1
            taken = 0
            while client.close_code is None or taken < len(client.frames):
                with suppress(AssertionError):  # closed, or nothing for a while
                    await client.until(lambda frames, taken=taken: len(frames) > taken, within=5)
                for frame in client.frames[taken:]:
                    self._take(frame)
                taken = len(client.frames)

    def _take(self, frame: Frame) -> None:
        self._cursor = frame.get("cursor") or self._cursor
        if frame["type"] == "new_signal":
            self.signals.append(frame)
        elif frame["type"] == "resync_required":
            self.resyncs += 1
