"""A WebSocket client of the tests' own, that may break every rule of RFC 6455."""

import contextlib
import json
import os
import select
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TIMEOUT = 10.0


@dataclass(frozen=True)
class Frame:
    """One frame as it came."""

    first: int
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2], "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A client's frame; `reserved` are the three bits, `length` forces a longer form (2 or 8 bytes)."""
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    bit = 0x80 if masked else 0
    size = len(payload)
    width = length if length is not None else 0 if size < 126 else 2 if size < 65536 else 8
    head = {
        0: lambda: struct.pack(">BB", first, bit | size),
        2: lambda: struct.pack(">BBH", first, bit | 126, size),
        8: lambda: struct.pack(">BBQ", first, bit | 127, size),
    }[width]()
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pattern = mask * (size // 4 + 1)
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(pattern[:size], "big")
    return head + mask + masked_payload.to_bytes(size, "big")


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return struct.pack(">H", code) + reason


def request(
    path: str = "/ws/signals",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    without: Iterable[str] = (),
) -> bytes:
    """An upgrade request."""
    usual = {
        "Host": "gateway.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    present = {name: value for name, value in {**usual, **(headers or {})}.items() if name not in without}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in present.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class RawSocket:
    """A blocking connection; a context manager."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.response = b""
        self.flooded = self.poured = 0

    # -- HTTP ------------------------------------------------------------------------------------

    def answer(self) -> tuple[int, dict[str, str]]:
        """Read a response's head: its status and headers (names in lower case)."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._receive() or self._ended()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.response = head
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split(" ")[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}

    def upgrade(self, path: str = "/ws/signals", headers: Mapping[str, str] | None = None) -> Self:
        """Ask for an upgrade, which must be granted."""
        self.send(request(path, headers))
        status, answered = self.answer()
        assert (status, answered.get("sec-websocket-accept")) == (101, ACCEPT), self.response
        return self

    def body(self) -> bytes:
        """Read the body of the response whose head was read."""
        size = next(
            int(line.partition(b":")[2])
            for line in self.response.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        return self._take(size)

    def trickle(self, data: bytes, *, every: float) -> None:
        """Send byte by byte until all is sent or the server has had enough."""
        for byte in data:
            if self.wait(every):
                return
            try:
                self.send(bytes([byte]))
            except ConnectionError:
                return

    def wait(self, seconds: float) -> bool:
        """Tell whether something, or the end, comes within `seconds`."""
        return bool(self._buffer or select.select([self._socket], [], [], seconds)[0])

    def flood(self, data: bytes, *, more: bytes, limit: int = 50_000_000) -> None:
        """Send without end until the server answers, ends the connection, or `limit` bytes are sent; `flooded` counts them."""
        while self.flooded < limit and not self.wait(0):
            try:
                self.send(data)
            except ConnectionError:
                return
            self.flooded += len(data)
            data = more

    # -- frames ----------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say(self, **message: object) -> None:
        self.send(frame(TEXT, json.dumps(message).encode()))

    def frame(self) -> Frame:
        """The next frame; `EOFError` when the connection ends instead."""
        first, second = self._take(2)
        assert second < 128, "a server must not mask"
        size = second
        if size == 126:
            size = int.from_bytes(self._take(2), "big")
        elif size == 127:
            size = int.from_bytes(self._take(8), "big")
        return Frame(first, first & 0x0F, self._take(size))

    def message(self, kind: str | None = None) -> dict[str, Any]:
        """The next text message, or the next of one type; each must be one whole frame."""
        while True:
            received = self.frame()
            assert received.first == 0x80 | TEXT, received
            message: dict[str, Any] = json.loads(received.payload)
            if kind is None or message["type"] == kind:
                return message

    def control(self) -> Frame:
        """The next control frame; text before it is skipped."""
        while (received := self.frame()).opcode == TEXT:
            pass
        return received

    def close_frame(self) -> Frame:
        """The server's close frame; what comes before it is skipped."""
        while (received := self.frame()).opcode != CLOSE:
            pass
        assert received.first == 0x80 | CLOSE
        return received

    def closed(self) -> Frame:
        """The server's close frame, which is answered; behind it nothing may come but the end."""
        received = self.close_frame()
        self.answer_close()
        return received

    def answer_close(self) -> None:
        """Answer the server's close frame; nothing may come but the end."""
        with contextlib.suppress(ConnectionError):  # it may have ended the connection at once
            self.send(frame(CLOSE, close_payload(1000)))
        rest = self.rest()
        assert rest == b"", f"behind the close frame: {rest[:200]!r}"

    def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        data, self._buffer = self._buffer, b""
        while chunk := self._receive():
            data += chunk
        return data

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._receive() or self._ended()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _ended(self) -> bytes:
        raise EOFError(f"the connection ended; left over: {self._buffer!r}")

    def pour(self, data: bytes, *, limit: int = 40_000_000, patience: float = 0.5) -> None:
        """Send over and over, reading nothing, until the server takes no more for `patience` s; `poured` counts the bytes."""
        self._socket.setblocking(False)
        while self.poured < limit:
            try:
                self.poured += self._socket.send(memoryview(data)[self.poured % len(data) :])
            except BlockingIOError:
                if not select.select([], [self._socket], [], patience)[1]:
                    break
            except ConnectionError:
                break
        self._socket.settimeout(TIMEOUT)

    def end(self) -> None:
        """Say that nothing more will be sent (FIN), and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
