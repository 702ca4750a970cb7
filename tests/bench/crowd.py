"""Thousands of WebSocket clients in one process, on one bare epoll loop.

Counting marks in the bytes of a read costs less than parsing frames, and less than the server spends on sending them, so
that the load never is what is measured. It relies on what benchmarks send: ASCII, so that the two bytes of an empty PING
(0x89 0x00) stand in no message, and every frame ends in `}`, so that a mark is split only by a read that does not.
"""

import base64
import os
import select
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SIGNAL = b'"type":"new_signal"'
MADE = b'"reasoning":"'
"""Before the Unix nanoseconds at which the producer made a signal."""

SAMPLE_EVERY = 7  # a prime: no pattern of sockets is preferred
CONNECTING_AT_ONCE = 128
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
BUFFER = 1 << 20
CLOSING_BRACE = ord("}")


class HandshakeFailed(RuntimeError):
    """A server did not let a socket in; its answer is in the text."""


@dataclass
class Tally:
    """What a crowd has received."""

    deliveries: int = 0
    reads: int = 0
    closed: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from a signal's making to the read that held it: of every seventh read, its oldest signal."""


def upgrade_request(url: str, origin: str | None = None) -> bytes:
    """The head of an upgrade request for `url`."""
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *([f"Origin: {origin}"] if origin else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def masked_text(text: str) -> bytes:
    """A short client's text frame (RFC 6455, section 5.2) under a mask of zeros."""
    payload = text.encode()
    assert len(payload) < 126
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


class Crowd:
    """Sockets of one process; `connect` them, then `read` for as long as wanted, from one thread.

    Each says `hello`, if there is one, as soon as its upgrade is answered.
    """

    def __init__(self, hello: str = "") -> None:
        self._hello = masked_text(hello) if hello else b""
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._receive: dict[int, Callable[[bytearray], int]] = {}
        self._split: dict[int, bytes] = {}
        self._buffer = bytearray(BUFFER)
        self.tally = Tally()

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(self, urls: Sequence[str], *, within: float = 120) -> list[bytes]:
        """Open a socket to each address; returns what each received with the answer to its upgrade, in no certain order.

        Raises:
            HandshakeFailed: one was refused, or not all were answered within so many seconds.
        """
        waiting: dict[int, bytes] = {}
        first: list[bytes] = []
        rest = iter(urls)
        deadline = time.monotonic() + within
        while len(first) < len(urls):
            while len(waiting) < CONNECTING_AT_ONCE and (url := next(rest, None)) is not None:
                waiting[self._open(url)] = b""
            if time.monotonic() > deadline:
                raise HandshakeFailed(f"{len(urls) - len(first)} of {len(urls)} upgrades were not answered")
            for fd, _ in self._epoll.poll(1):
                if fd not in waiting:
                    self._take(fd)
                    continue
                waiting[fd] += self._sockets[fd].recv(BUFFER)
                head, end, body = waiting[fd].partition(b"\r\n\r\n")
                if end:
                    if b" 101 " not in head.split(b"\r\n", 1)[0]:
                        raise HandshakeFailed(waiting[fd][:300].decode(errors="replace"))
                    if self._hello:
                        self._sockets[fd].sendall(self._hello)
                    del waiting[fd]
                    first.append(body)
        return first

    def _open(self, url: str) -> int:
        parts = urlsplit(url)
        opened = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(upgrade_request(url))
        fd = opened.fileno()
        self._sockets[fd], self._receive[fd] = opened, opened.recv_into
        self._epoll.register(fd, select.EPOLLIN)
        return fd

    def read(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Receive for so long, or until `until` holds; it is asked after each batch of events."""
        end, poll, take = time.monotonic() + seconds, self._epoll.poll, self._take
        while (left := end - time.monotonic()) > 0 and not until():
            for fd, _ in poll(min(left, 0.1), 1024):
                take(fd)

    def _take(self, fd: int) -> None:
        tally, buffer = self.tally, self._buffer
        try:
            size = self._receive[fd](buffer)
        except (BlockingIOError, ConnectionError):
            size = 0
        if not size:
            self._lost(fd)
            return
        tally.reads += 1
        found = buffer.count(SIGNAL, 0, size)
        if self._split or buffer[size - 1] != CLOSING_BRACE:
            found += self._across(fd, size)
        tally.deliveries += found
        if tally.reads % SAMPLE_EVERY == 0 and found:
            at = buffer.find(MADE, 0, size) + len(MADE)
            if at >= len(MADE) and at + 19 <= size:
                tally.latencies.append(time.time() - int(buffer[at : at + 19]) / 1e9)
        if buffer.find(PING, 0, size) >= 0:  # alone, or behind signals that were not read at once
            self._sockets[fd].send(PONG)

    def _across(self, fd: int, size: int) -> int:
        """Marks that lie across two reads."""
        edge = len(SIGNAL) - 1
        before = self._split.pop(fd, b"")
        joint = before + bytes(self._buffer[: min(edge, size)]) if before else b""
        if self._buffer[size - 1] != CLOSING_BRACE:
            self._split[fd] = bytes(self._buffer[max(0, size - edge) : size])
        return joint.count(SIGNAL)

    def _lost(self, fd: int) -> None:
        self.tally.closed += 1
        self._epoll.unregister(fd)
        del self._receive[fd]
        self._sockets.pop(fd).close()
        self._split.pop(fd, None)

    def reset(self) -> Tally:
        """Begin a new tally and return the old one."""
        old, self.tally = self.tally, Tally()
        return old

    def close(self) -> None:
        """Close every socket, without a close frame, as a lost network does."""
        for fd in list(self._sockets):
            self._lost(fd)
        self.tally.closed = 0
