"""`/ws/signals`: the WebSocket protocol class that uvicorn is given (`ws=`), on picows."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from picows import WSUpgradeRequest, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined] # missing in its stubs

from tiercast_gateway.handshake import Handshake
from tiercast_gateway.handshake_limits import HandshakeLimits
from tiercast_gateway.listener import CLOSE_SECONDS, MAX_MESSAGE_BYTES, Listener
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.upgrade_line import UpgradeLine

_picows_log = logging.getLogger("picows.edge")  # of its own: the level of "picows" is set with those of other libraries
_picows_log.setLevel(logging.CRITICAL)
"""At its lowest level it prints raw requests, tokens included; at its highest, a line for every broken frame from a client."""

_LOG = logging.LoggerAdapter(_picows_log)
"""For picows, which would make a `Logger` for each connection out of a `Logger`."""


class Edge:
    """Joins uvicorn's upgrades to the sessions."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        allowed_origins: frozenset[str],
        refusal: Callable[[], str | None],
        close_seconds: float = CLOSE_SECONDS,
        limits: HandshakeLimits | None = None,
    ) -> None:
        self._sessions = sessions
        self._close_seconds = close_seconds
        self._line = UpgradeLine(lambda turn: asyncio.get_running_loop().call_soon(turn))
        self.handshake = Handshake(self._listener, allowed_origins=allowed_origins, refusal=refusal, limits=limits)

    def protocol(self, **_uvicorn: Any) -> "EdgeProtocol":
        """Called by uvicorn for each request that asks for an upgrade."""
        return EdgeProtocol(self.handshake, self._line)

    def _listener(self, token: str | None, query: Mapping[str, list[str]]) -> Listener:
        return Listener(self._sessions, token, query, close_seconds=self._close_seconds)


class EdgeProtocol(WSProtocol):  # type: ignore[misc] # picows' extension types carry no base class information
    """picows' protocol as uvicorn uses it: fed once with the request, then put in uvicorn's place."""

    __slots__ = ("_handshake", "_line", "_uvicorns")

    def __init__(self, handshake: Handshake, line: UpgradeLine) -> None:
        self._handshake, self._line = handshake, line
        self._uvicorns: asyncio.Transport | None = None
        super().__init__(
            None,
            None,
            False,
            self._accept,
            _LOG,
            True,
            None,  # the request is whole: it needs no timer
            False,  # automatic pings take a task per connection; one sweep serves all
            None,
            None,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # automatic pongs would answer a PING with reserved bits too
            MAX_MESSAGE_BYTES,
            None,
            2048,
        )

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Uvicorn hands its transport over."""
        self._uvicorns = transport
        super().connection_made(transport)

    def _accept(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        peer = self.transport.underlying_transport.get_extra_info("peername") or ("",)
        return self._handshake.accept(request, str(peer[0]))

    def data_received(self, data: bytes) -> None:
        """Take the request that uvicorn has read, and wait in the line with it; until then nothing more may be read."""
        assert self._uvicorns is not None
        self._uvicorns.pause_reading()
        self._line.join(partial(self._upgrade, data))

    def _upgrade(self, request: bytes) -> None:
        """Answer. The buffer picows offers is small at first, so it is filled in turns."""
        transport, self._uvicorns = self._uvicorns, None
        if transport is None or transport.is_closing():
            return  # gone while it waited
        rest = memoryview(request)
        while rest:
            buffer = self.get_buffer(len(rest))
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            self.buffer_updated(size)
            rest = rest[size:]
        self._forget_request()
        asyncio.get_running_loop().call_soon(self._go_on_reading, transport)

    def _forget_request(self) -> None:
        """Let go of what picows would keep as long as the connection: two kilobytes, with the token, that nobody reads again."""
        for message in (self.transport.request, self.transport.response):
            if message is not None:
                del message.headers
        if self.transport.request is not None:
            del self.transport.request.path, self.transport.request.method, self.transport.request.version

    def _go_on_reading(self, transport: asyncio.Transport) -> None:
        """A turn later, behind the session's beginning: what is read before that would be nobody's."""
        if not transport.is_closing():
            transport.resume_reading()

    def buffer_updated(self, nbytes: int) -> None:
        """Data came. On a broken frame picows closes by itself and tells nobody: the connection leaves the hub in the same step."""
        super().buffer_updated(nbytes)
        if self.listener is not None and self.transport.is_close_frame_sent:
            self.listener.left()
