"""`make watch`: a user's live stream in the terminal, as a client in Python would be written."""

import asyncio
import json
import random
import signal
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.text import Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from tiercast_local.errors import LocalError
from tiercast_local.local_services import GATEWAY, url
from tiercast_local.stream_lines import note, signal_line

FINAL_CODES = range(4500, 5000)  # the server's reasons that reconnecting cannot cure
FIRST_BACKOFF = 0.5  # seconds; doubled at each failure
LONGEST_BACKOFF = 10.0


class Watcher:
    """Shows the stream of one user, coming back with the last cursor whenever the connection is lost.

    `make_token` is asked before each connection, so that a token that has run out is replaced.
    """

    def __init__(self, stream_url: str, make_token: Callable[[], str], console: Console) -> None:
        self._url = stream_url
        self._make_token = make_token
        self._console = console
        self._cursor: str | None = None
        self._tier = ""
        self._failures = 0
        self._retry_after: float | None = None

    async def run(self) -> None:
        """Show frames for ever; raises `LocalError` when the server says not to come back."""
        while True:
            try:
                await self._connect_and_show()
            except ConnectionClosed as closed:
                self._stop_if_final(closed)
                self._show(f"-- connection lost ({_why(closed)})")
            except InvalidStatus as refused:
                self._stop_if_refused(refused)
            except (OSError, TimeoutError, WebSocketException) as error:
                self._show(f"-- no connection to {self._url}: {str(error) or type(error).__name__}")
            await asyncio.sleep(self._delay())

    async def _connect_and_show(self) -> None:
        place = f"{self._url}?{urlencode({'cursor': self._cursor})}" if self._cursor else self._url
        headers = {"Authorization": f"Bearer {self._make_token()}"}
        async with connect(place, additional_headers=headers, compression=None, proxy=None) as connection:
            await self._show_frames(connection)

    async def _show_frames(self, connection: ClientConnection) -> None:
        while True:
            self._take(json.loads(await connection.recv()))

    def _take(self, frame: Mapping[str, Any]) -> None:
        self._cursor = frame.get("cursor") or self._cursor
        self._tier = frame.get("user_tier") or self._tier
        if frame["type"] == "connected":
            self._failures = 0
        elif frame["type"] == "reconnect":
            self._retry_after = frame["retry_after_ms"] / 1000
        line = signal_line(frame, self._tier) if frame["type"] == "new_signal" else note(frame)
        if line is not None:
            self._show(line)

    def _stop_if_final(self, closed: ConnectionClosed) -> None:
        if closed.rcvd is not None and closed.rcvd.code in FINAL_CODES:
            raise LocalError(f"the gateway closed the stream for good: {_why(closed)}")

    def _stop_if_refused(self, refused: InvalidStatus) -> None:
        status = refused.response.status_code
        if 400 <= status < 500:
            raise LocalError(f"the gateway refuses the stream with HTTP {status}: {_body(refused)}")
        self._show(f"-- not now: HTTP {status}")

    def _delay(self) -> float:
        """Seconds until the next attempt: what the server asked for, else full jitter under a doubling limit."""
        asked, self._retry_after = self._retry_after, None
        limit = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**self._failures)
        self._failures += 1
        return random.uniform(0, limit) if asked is None else asked

    def _show(self, line: str | Text) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)


def watch(values: Mapping[str, str], make_token: Callable[[], str]) -> None:
    """Show a user's stream until Ctrl-C; raises `LocalError` when the gateway says not to come back."""
    stream_url = url(GATEWAY, values).replace("http", "ws", 1) + "/ws/signals"
    asyncio.run(_until_interrupted(Watcher(stream_url, make_token, Console()).run()))


async def _until_interrupted(work: Any) -> None:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _why(closed: ConnectionClosed) -> str:
    return f"{closed.rcvd.code} {closed.rcvd.reason}".strip() if closed.rcvd else "no close frame"


def _body(refused: InvalidStatus) -> str:
    return (refused.response.body or b"").decode(errors="replace").strip()
