"""A well-behaved client: resumes by cursor after each drop, obeys close codes and `retry_after_ms`, and fetches when told to."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import urlencode

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.faults.history import ClientRecord, Fetched, Frame, Session
from tests.support.http import async_http

FIRST_BACKOFF, LAST_BACKOFF = 0.1, 2.0
OPEN_TIMEOUT = 20.0
NO_RECONNECT = range(4500, 5000)
HISTORY_LIMIT = 1000
ABNORMAL = 1006


class ResumingClient:
    """Keeps one connection to some gateway, and writes down all it gets. `urls` are the gateways' `http://…`."""

    def __init__(self, record: ClientRecord, urls: Sequence[str], token: Callable[[], str], rng: random.Random) -> None:
        self.record = record
        self.cursor: str | None = None
        self.refused: int | None = None
        """The close code that told it not to come back."""
        self.gateway = rng.randrange(len(urls))
        """Where it is, or will try next."""
        self.paused = False
        self._urls = urls
        self._token = token
        self._rng = rng
        self._failures = 0
        self._retry_after: float | None = None
        self._wake = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._fetches: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether a connection is open now."""
        return self._connection is not None

    def back_since(self, moment: float) -> bool:
        """Whether it is on a connection that was opened after `moment` and has been told `connected`."""
        session = self.record.sessions[-1]
        return self.connected and session.opened > moment and bool(session.raw)

    async def run(self) -> None:
        """Stay connected until cancelled, or told not to come back."""
        try:
            while self.refused is None:
                if self.paused:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await self._connect_once()
                await self._back_off()
        finally:
            for task in self._fetches:
                task.cancel()

    async def cut(self) -> None:
        """Drop the connection without a word and stay away until `come_back`."""
        self.paused = True
        if self._connection is not None:
            self._connection.transport.abort()

    def come_back(self, gateway: int | None = None) -> None:
        """Connect again, to `gateway` if it is named."""
        if gateway is not None:
            self.gateway = gateway
        self._failures = 0
        self.paused = False
        self._wake.set()

    async def ping(self) -> None:
        """Ask for a `pong`, which comes behind all that was sent before."""
        if self._connection is not None:
            with suppress(ConnectionClosed):
                await self._connection.send('{"type":"ping"}')

    async def _connect_once(self) -> None:
        session = Session(self.gateway, self.cursor, time.monotonic())
        self.record.sessions.append(session)
        query = f"?{urlencode({'cursor': self.cursor})}" if self.cursor else ""
        try:
            async with connect(
                f"ws{self._urls[self.gateway].removeprefix('http')}/ws/signals{query}",
                additional_headers={"Authorization": f"Bearer {self._token()}"},
                compression=None,
                ping_interval=None,
                max_size=None,
                max_queue=None,
                proxy=None,
                open_timeout=OPEN_TIMEOUT,
                close_timeout=1,
            ) as connection:
                self._connection = connection
                await self._read(session, connection)
        except (OSError, TimeoutError, InvalidHandshake) as error:
            session.refused = f"{type(error).__name__}: {error}"
            self._failures += 1
            self.gateway = self._rng.randrange(len(self._urls))
        finally:
            self._connection = None
            session.closed = time.monotonic()

    async def _read(self, session: Session, connection: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                raw = await connection.recv(decode=False)
                now = time.monotonic()
                session.raw.append(raw)
                session.arrivals.append(now)
                self._take(orjson.loads(raw), now)
        session.close_code = connection.close_code or ABNORMAL
        if session.close_code in NO_RECONNECT:
            self.refused = session.close_code
        elif not self.paused:
            self.gateway = self._rng.randrange(len(self._urls))

    def _take(self, frame: Frame, now: float) -> None:
        self.cursor = frame.get("cursor") or self.cursor
        kind = frame["type"]
        if kind == "new_signal":
            self.record.received.add(frame["data"]["hash"])
        elif kind == "connected":
            self._failures = 0
            if self.record.connected_at is None:
                self.record.connected_at = now
        elif kind == "reconnect":
            self._retry_after = frame["retry_after_ms"] / 1000
        elif kind == "resync_required":
            task = asyncio.get_running_loop().create_task(self._fetch())
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)

    async def _fetch(self) -> None:
        while True:
            url = f"{self._urls[self.gateway]}/api/v1/signals/latest"
            with suppress(httpx.HTTPError):
                async with async_http(headers={"Authorization": f"Bearer {self._token()}"}, timeout=5) as http:
                    answer = await http.get(url, params={"limit": HISTORY_LIMIT})
                if answer.status_code == httpx.codes.OK:
                    self.record.fetched.append(Fetched(time.monotonic(), answer.content))
                    self.record.received |= {data["hash"] for data in answer.json()}
                    return
            await asyncio.sleep(self._rng.uniform(0, 1))

    async def _back_off(self) -> None:
        """Full jitter (up to 0.1 s, 0.2 s, … 2 s), or what a draining replica asked for."""
        if self.paused or self.refused is not None:
            return
        asked, self._retry_after = self._retry_after, None
        delay = self._rng.uniform(0, min(FIRST_BACKOFF * 2**self._failures, LAST_BACKOFF)) if asked is None else asked
        await asyncio.sleep(delay)
