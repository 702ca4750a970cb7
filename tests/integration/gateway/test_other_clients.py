"""Clients that others wrote understand the edge: `websockets`, and picows' own."""

import asyncio
import json
from typing import Any

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.integration.gateway.edge_server import ORIGIN, EdgeServer
from tests.unit.gateway.doubles import token, until


def good(user: str) -> str:
    return token(user, iat=0, exp=2_000_000_000)


async def test_websockets_connects_listens_talks_and_closes(edge: EdgeServer) -> None:
    async with connect(edge.url, additional_headers={"Authorization": f"Bearer {good('ws')}"}, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "connected"
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers, "it had offered compression"

        await (await socket.ping(b"are you there"))
        await asyncio.to_thread(edge.publish, 50)
        received = [json.loads(await socket.recv()) for _ in range(50)]
        await socket.send(['{"type":', '"pi', 'ng"}'])  # in fragments

        assert [message["seq"] for message in received] == list(range(edge.log.head - 49, edge.log.head + 1))
        assert json.loads(await socket.recv())["type"] == "pong"
    assert (socket.close_code, socket.close_reason) == (1000, "")


async def test_websockets_as_a_browser_would_use_it(edge: EdgeServer) -> None:
    async with connect(
        f"{edge.url}?symbols=AAPL",
        origin=Origin(ORIGIN),
        subprotocols=[Subprotocol("tiercast.v1"), Subprotocol(f"bearer.{good('browser')}")],
        proxy=None,
    ) as socket:
        assert socket.subprotocol == "tiercast.v1"
        assert json.loads(await socket.recv())["type"] == "connected"


async def test_websockets_is_told_why_it_is_closed(edge: EdgeServer) -> None:
    async with connect(f"{edge.url}?token=x.y.z", proxy=None) as socket:
        assert json.loads(await socket.recv())["code"] == "invalid_token"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4500
    assert "token" in closed.value.rcvd.reason


async def test_websockets_is_told_that_its_origin_is_wrong(edge: EdgeServer) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(edge.url, origin=Origin("https://evil.com"), proxy=None)

    assert refusal.value.response.status_code == 403


async def test_websockets_answers_the_servers_ping(edge: EdgeServer) -> None:
    async with connect(edge.url, additional_headers={"Authorization": f"Bearer {good('pong')}"}, proxy=None) as socket:
        await socket.recv()
        connection = next(c for c in edge.connections() if c.user_id == "pong")
        for _ in range(3):
            edge.call(connection.wire.ping)
            await until(lambda: connection.wire._alive)  # type: ignore[attr-defined] # the PONG has come


async def test_a_hundred_clients_at_once_get_everything(edge: EdgeServer) -> None:
    async def listen(number: int) -> list[int]:
        headers = {"Authorization": f"Bearer {good(f'crowd-{number % 30}')}"}
        async with connect(edge.url, additional_headers=headers, proxy=None) as socket:
            assert json.loads(await socket.recv())["type"] == "connected"
            joined.append(number)
            return [json.loads(await socket.recv())["seq"] for _ in range(200)]

    joined: list[int] = []
    listeners = [asyncio.create_task(listen(number)) for number in range(100)]
    await until(lambda: len(joined) == 100, within=20)
    first = edge.log.head + 1
    for _ in range(20):
        await asyncio.to_thread(edge.publish, 10)

    async with asyncio.timeout(30):
        assert await asyncio.gather(*listeners) == [list(range(first, first + 200))] * 100


class Recorder(WSListener):
    """picows' client side."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.closed = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.messages.append(json.loads(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.closed = True


async def test_picows_connects_listens_talks_and_closes(edge: EdgeServer) -> None:
    transport, listener = await ws_connect(
        Recorder, edge.url, extra_headers={"Authorization": f"Bearer {good('picows')}"}
    )
    await until(lambda: listener.messages)
    await asyncio.to_thread(edge.publish, 50)
    await until(lambda: len(listener.messages) == 51)
    transport.send(WSMsgType.TEXT, b'{"type":"ping"}')
    await until(lambda: len(listener.messages) == 52)
    transport.send_close()
    await transport.wait_disconnected()

    assert [message["type"] for message in listener.messages] == ["connected", *["new_signal"] * 50, "pong"]
    assert listener.closed


async def test_a_client_that_vanishes_is_forgotten(edge: EdgeServer) -> None:
    transport, listener = await ws_connect(
        Recorder, edge.url, extra_headers={"Authorization": f"Bearer {good('vanishing')}"}
    )
    await until(lambda: listener.messages)
    transport.disconnect(graceful=False)

    await until(lambda: "vanishing" not in edge.call(lambda: edge.sessions.users))
