"""The terminal client follows its stream through reconnects, and stops when it is told to."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tiercast_local.errors import LocalError
from tiercast_local.stream_lines import note, signal_line
from tiercast_local.watch import Watcher

CONNECTED = {"type": "connected", "user_tier": "pro", "recovered": None, "cursor": "c0"}
SIGNAL = {
    "symbol": "AAPL",
    "action": "BUY",
    "entry_price": 175.5,
    "confidence": 92.0,
    "type": "PREMIUM",
    "server_timestamp": 1000.0,
}


@asynccontextmanager
async def served(handler: Callable[[ServerConnection], Awaitable[None]], **options: object) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type] # passed through
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/signals"


def watcher(url: str) -> tuple[Watcher, io.StringIO]:
    output = io.StringIO()
    return Watcher(url, lambda: "token", Console(file=output)), output


async def test_it_comes_back_with_the_last_cursor_and_stops_for_good_when_told() -> None:
    paths = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.send(json.dumps(CONNECTED))
        if len(paths) == 1:
            await connection.send(json.dumps({"type": "new_signal", "seq": 7, "cursor": "c7=", "data": SIGNAL}))
            await connection.send(json.dumps({"type": "reconnect", "retry_after_ms": 1, "cursor": "c7="}))
            await connection.close(4001, "draining")
        else:
            await connection.close(4500, "revoked")

    async with served(handler) as url:
        client, output = watcher(url)
        with pytest.raises(LocalError, match="4500 revoked"):
            await asyncio.wait_for(client.run(), 10)

    assert paths == ["/ws/signals", "/ws/signals?cursor=c7%3D"]
    assert "PRO     AAPL    BUY      175.50   92.0 PREMIUM  #7" in output.getvalue()
    assert "connection lost (4001 draining)" in output.getvalue()


async def test_a_refusal_in_http_is_told_and_a_drain_is_waited_for() -> None:
    answers = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.FORBIDDEN]

    def refuse(connection: ServerConnection, _request: Request) -> Response:
        return connection.respond(answers.pop(0), "not you")

    async def handler(_connection: ServerConnection) -> None:
        raise AssertionError("nobody gets here")

    async with served(handler, process_request=refuse) as url:
        client, output = watcher(url)
        with pytest.raises(LocalError, match="403: not you"):
            await asyncio.wait_for(client.run(), 10)

    assert "not now: HTTP 503" in output.getvalue()
    assert answers == []


def test_a_signal_is_one_line_with_its_latency() -> None:
    frame = {"type": "new_signal", "seq": 12, "data": SIGNAL}

    assert signal_line(frame, "elite", now=1000.0042).plain.endswith("#12     4.2 ms")
    assert signal_line(frame | {"replay": True}, "elite").plain.endswith("#12     replay")


def test_what_happens_to_the_stream_is_noted() -> None:
    changed = {"type": "tier_changed", "previous_tier": "pro", "user_tier": "starter", "reason": "expired"}

    assert str(note(changed)) == "-- tier: pro -> starter (expired)"
    assert str(note(CONNECTED | {"recovered": True})) == "-- connected as pro, nothing missed"
    assert note({"type": "ping"}) is None
