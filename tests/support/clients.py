"""A WebSocket client that remembers every frame it was sent."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Frame = dict[str, Any]


class SocketClient:
    """A connection to `/ws/signals`; an async context manager.

    `raw` holds the payload of every frame received, byte for byte, `frames` the same decoded, and `arrivals` the
    Unix time of each. The token goes into `Authorization` unless `token_in` says `query`, `subprotocol` or `nowhere`.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        token_in: str = "header",
        symbols: str | None = None,
        cursor: str | None = None,
        origin: str | None = None,
    ) -> None:
        self.raw: list[bytes] = []
        self.frames: list[Frame] = []
        self.arrivals: list[float] = []
        self.close_code: int | None = None
        self.close_reason: str | None = None
        query = {"symbols": symbols, "cursor": cursor, "token": token if token_in == "query" else None}
        present = {name: value for name, value in query.items() if value is not None}
        self._url = f"{url}?{urlencode(present)}" if present else url
        self._headers = {"Authorization": f"Bearer {token}"} if token and token_in == "header" else {}
        self._subprotocols = ["tiercast.v1", f"bearer.{token}"] if token_in == "subprotocol" else None
        self._origin = origin
        self._news = asyncio.Condition()
        self._connection: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def signals(self) -> list[Frame]:
        """The `new_signal` frames so far."""
        return self.of("new_signal")

    @property
    def data(self) -> list[Frame]:
        """The signals so far, without their frames."""
        return [frame["data"] for frame in self.signals]

    @property
    def seqs(self) -> list[int]:
        """The `seq` of each signal so far."""
        return [frame["seq"] for frame in self.signals]

    @property
    def connection(self) -> ClientConnection:
        """The connection of the library, for what this class does not wrap."""
        assert self._connection is not None, "not connected"
        return self._connection

    def of(self, kind: str) -> list[Frame]:
        """The frames of one type so far."""
        return [frame for frame in self.frames if frame.get("type") == kind]

    async def until(self, condition: Callable[[list[Frame]], object], within: float = 10) -> list[Frame]:
        """Wait until `condition(frames)` is true and return the frames; fails early when the socket closes."""
        try:
            async with asyncio.timeout(within), self._news:
                while not condition(self.frames):
                    assert self.close_code is None, f"closed with {self.close_code} {self.close_reason}"
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within} s; the last frames: {self.frames[-5:]}") from None
        return self.frames

    async def signals_received(self, count: int, within: float = 10) -> list[Frame]:
        """Wait for `count` signals in all and return them."""
        await self.until(lambda _: len(self.signals) >= count, within)
        return self.signals

    async def first(self, kind: str, within: float = 10) -> Frame:
        """Wait for the first frame of one type and return it."""
        await self.until(lambda _: self.of(kind), within)
        return self.of(kind)[0]

    async def closed(self, within: float = 10) -> int:
        """Wait until the server has closed the socket and return the close code."""
        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: self.close_code is not None)
        except TimeoutError:
            raise AssertionError(f"still open after {within} s; the last frames: {self.frames[-5:]}") from None
        assert self.close_code is not None
        return self.close_code

    async def settled(self) -> None:
        """Wait until all that the server sent before now has arrived: a `ping` is answered behind it."""
        answered = len(self.of("pong"))
        await self.send({"type": "ping"})
        await self.until(lambda _: len(self.of("pong")) > answered)

    async def send(self, message: Frame | str | bytes) -> None:
        """Send a frame: a dict as JSON, anything else as it is."""
        await self.connection.send(json.dumps(message) if isinstance(message, dict) else message)

    async def __aenter__(self) -> Self:
        self._connection = await connect(
            self._url,
            additional_headers=self._headers,
            subprotocols=self._subprotocols,  # type: ignore[arg-type] # the library's own NewType of str
            origin=self._origin,  # type: ignore[arg-type] # the library's own NewType of str
            compression=None,
            ping_interval=None,
            max_size=None,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read(self._connection))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.connection.close()
        if self._reader is not None:
            await self._reader

    async def _read(self, connection: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                payload = await connection.recv(decode=False)
                async with self._news:
                    self.arrivals.append(time.time())
                    self.raw.append(payload)
                    self.frames.append(json.loads(payload))
                    self._news.notify_all()
        async with self._news:
            self.close_code = connection.close_code
            self.close_reason = connection.close_reason
            self._news.notify_all()
