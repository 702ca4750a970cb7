"""One socket of `/ws/signals`: WebSocket messages in, frames out.

picows parses and unmasks; this adds what it leaves open (reserved bits, fragments, UTF-8, limits) and joins the transport to a
`Connection`.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from tiercast_gateway.audience import Writer
from tiercast_gateway.connection import Connection, State
from tiercast_gateway.inbox import BadMessage, parse_symbols
from tiercast_gateway.sessions import Sessions
from tiercast_shared.contracts.close_codes import CloseCode

MAX_MESSAGE_BYTES = 64 * 1024
"""Over all fragments of one message."""

CLOSE_SECONDS = 5.0
"""How long a client may take to answer a close frame."""


NOTHING: Mapping[str, list[str]] = {}


class Listener(WSListener):
    """One socket: WebSocket messages in, frames out."""

    __slots__ = (
        "_alive",
        "_close_seconds",
        "_fragments",
        "_query",
        "_raw",
        "_sessions",
        "_socket",
        "_token",
        "_transport",
        "congested",
        "connection",
    )

    def __init__(
        self, sessions: Sessions, token: str | None, query: Mapping[str, list[str]], *, close_seconds: float
    ) -> None:
        super().__init__()
        self._sessions = sessions
        self._close_seconds = close_seconds
        self._token = token
        self._query = query
        self._transport: WSTransport | None = None
        self._raw: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        """The same socket as the transport's, to send to directly; None if it must go through the transport (TLS)."""
        self._fragments: bytearray | None = None
        self.connection: Connection | None = None
        self._alive = True
        self.congested = False

    # -- the transport ---------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The upgrade is answered.

        The session starts in the loop's next turn: until then a full transport would tell uvicorn's protocol instead of this one.
        """
        self._transport = transport
        self._raw = transport.underlying_transport
        if not transport.is_secure:
            lent = self._raw.get_extra_info("socket")
            self._socket = socket.socket(lent.family, lent.type, lent.proto, fileno=lent.fileno())
            self._socket.setblocking(False)
        self._raw.set_write_buffer_limits(high=0)  # congested as soon as the socket leaves anything
        asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        if self._transport is None:
            return  # gone already
        symbols, problem = None, None
        try:
            if "symbols" in self._query:
                symbols = parse_symbols([name for part in self._query["symbols"] for name in part.split(",")])
        except BadMessage as error:
            problem = str(error)
        cursor = (self._query.get("cursor") or [""])[-1]
        self.connection = Connection(os.urandom(16).hex(), self, symbols=symbols, resume=cursor or None)
        if problem is not None:
            self._sessions.opened(self.connection, None)
            self._sessions.close(self.connection, CloseCode.BAD_REQUEST, problem, error="bad_request")
        else:
            self._sessions.opened(self.connection, self._token)
        self._token, self._query = None, NOTHING  # not kept with the connection

    @property
    def write(self) -> Writer:
        """To the socket itself, past picows, which would copy, and uvloop, which would wait for the end of the loop's turn.

        Safe because a connection whose transport holds bytes is congested and not written to, and because the file descriptor
        is forgotten before it is closed.
        """
        if self._raw is None:
            return _nowhere
        return self._write_through if self._socket is None else self._socket.send

    def _write_through(self, frames: bytes) -> int:
        self.queue(frames)
        return len(frames)

    def queue(self, data: bytes | memoryview) -> None:
        """Leave bytes to the event loop's transport, which says when they are gone."""
        if self._raw is not None and not self._raw.is_closing():
            self._raw.write(data)

    def close(self, code: CloseCode, reason: str) -> None:
        """Send a close frame; disconnect when it is answered, or after 5 s."""
        if self._transport is None:
            return
        self._transport.send_close(code, _shortened(reason))  # type: ignore[arg-type] # takes any integer
        asyncio.get_running_loop().call_later(self._close_seconds, self.abort)

    def ping(self) -> bool:
        """Send a protocol PING, which every client answers by itself; returns whether anything came since the last one."""
        alive, self._alive = self._alive, False
        if self._transport is not None:
            self._transport.send_ping()
        return alive

    def left(self) -> None:
        """A close frame was sent, by whomever: nothing may follow it."""
        if self.connection is not None and self.connection.state is not State.CLOSED:
            self._sessions.lost(self.connection)
            asyncio.get_running_loop().call_later(self._close_seconds, self.abort)

    def abort(self) -> None:
        """Disconnect at once. What the client has not read is lost; waiting for it could take for ever."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """The transport is gone."""
        self._transport = self._raw = None
        if self._socket is not None:
            self._socket.detach()
        if self.connection is not None:
            self.connection.write = _nowhere
            self._sessions.lost(self.connection)
            self.connection = None  # it refers back: both would wait for a garbage collection

    def pause_writing(self) -> None:
        """The socket has left bytes to the transport: until it has taken them, nothing is read that would want an answer."""
        self.congested = True
        if self._raw is not None and not self._raw.is_closing():
            self._raw.pause_reading()
        if self.connection is not None:
            self._sessions.paused(self.connection)

    def resume_writing(self) -> None:
        """The socket has taken them all, so the client is alive, though its PONG may not have been read."""
        self.congested, self._alive = False, True
        if self._raw is not None and not self._raw.is_closing():
            self._raw.resume_reading()
        if self.connection is not None:
            self._sessions.resumed(self.connection)

    # -- messages --------------------------------------------------------------------------------

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame, unmasked. Opcodes, masks and the size and form of control frames are checked by picows."""
        self._alive = True
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(CloseCode.PROTOCOL_ERROR, "reserved bits without an extension")
        elif kind == WSMsgType.CLOSE:
            self._closed_by_client(transport, frame)
        elif kind == WSMsgType.PONG or transport.is_close_frame_sent:
            return
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "messages are JSON text")
        else:
            self._assemble(frame)

    def _assemble(self, frame: WSFrame) -> None:
        first = frame.msg_type == WSMsgType.TEXT
        if first != (self._fragments is None):
            self._fail(CloseCode.PROTOCOL_ERROR, "fragments out of order")
            return
        if first and frame.fin:
            self._message(frame.get_payload_as_bytes())
            return
        parts = self._fragments if self._fragments is not None else bytearray()
        if len(parts) + frame.payload_size > MAX_MESSAGE_BYTES:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "a message may have 64 KiB")
            return
        parts += frame.get_payload_as_bytes()
        self._fragments = None if frame.fin else parts
        if frame.fin:
            self._message(bytes(parts))

    def _message(self, payload: bytes) -> None:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_TEXT, "not UTF-8")
            return
        if self.connection is not None:
            self._sessions.received(self.connection, text)

    def _fail(self, code: CloseCode, reason: str) -> None:
        if self.connection is not None and self.connection.state is not State.CLOSED:
            self._sessions.close(self.connection, code, reason)
        else:
            self.close(code, reason)

    def _closed_by_client(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.connection is not None:
            self._sessions.lost(self.connection)
        if not transport.is_close_frame_sent:
            code = int.from_bytes(frame.get_payload_as_bytes()[:2]) if frame.payload_size else CloseCode.NORMAL
            transport.send_close(code if _may_be_sent(code) else CloseCode.PROTOCOL_ERROR)  # type: ignore[arg-type] # any integer
        transport.disconnect()
        asyncio.get_running_loop().call_later(self._close_seconds, self.abort)


def _nowhere(frames: bytes) -> int:
    return len(frames)  # the socket is gone


def _may_be_sent(code: int) -> bool:
    """Whether a close frame may hold `code` (RFC 6455, section 7.4, and its registry); picows lets some others pass."""
    return 3000 <= code < 5000 or (1000 <= code <= 1014 and code not in {1004, 1005, 1006})


def _shortened(reason: str) -> bytes:
    """At most 123 bytes, as RFC 6455 allows beside the code, and whole characters."""
    return reason.encode()[:123].decode(errors="ignore").encode()
