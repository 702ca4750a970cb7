"""The recording WebSocket client tells the truth about what a server sent."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.support.clients import SocketClient


@asynccontextmanager
async def served(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/signals"


def signal(seq: int) -> str:
    return json.dumps({"type": "new_signal", "seq": seq, "data": {"id": str(seq)}})


async def test_every_frame_is_kept_byte_for_byte_and_in_order() -> None:
    async def handler(connection: ServerConnection) -> None:
        for seq in range(50):
            await connection.send(signal(seq))
        await connection.recv()

    async with served(handler) as url, SocketClient(url) as client:
        await client.signals_received(50)
        await client.send({"type": "ping"})

    assert client.seqs == list(range(50))
    assert client.raw == [signal(seq).encode() for seq in range(50)]
    assert len(client.arrivals) == 50


async def test_waiting_for_a_frame_ends_when_the_server_closes() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.close(4500, "no")

    async with served(handler) as url, SocketClient(url) as client:
        with pytest.raises(AssertionError, match="closed with 4500 no"):
            await client.first("connected")
        assert await client.closed() == 4500


async def test_waiting_for_a_frame_that_does_not_come_shows_what_came() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send(signal(7))
        await connection.recv()

    async with served(handler) as url, SocketClient(url) as client:
        with pytest.raises(AssertionError, match="'seq': 7"):
            await client.signals_received(2, within=0.2)
        with pytest.raises(AssertionError, match="still open"):
            await client.closed(within=0.05)


async def test_token_filter_and_cursor_are_sent_where_they_are_asked_for() -> None:
    seen = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.request.path, connection.request.headers.get("Authorization")))

    async with served(handler) as url:
        async with SocketClient(url, "abc", symbols="BTC/USD", cursor="c="):
            pass
        async with SocketClient(url, "abc", token_in="query"):
            pass

    assert seen == [
        ("/ws/signals?symbols=BTC%2FUSD&cursor=c%3D", "Bearer abc"),
        ("/ws/signals?token=abc", None),
    ]
