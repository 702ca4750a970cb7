"""uvicorn's HTTP protocol, plus limits on a request: how long its head and its body may take, and how large its head may be."""

import asyncio
from random import uniform
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 5.0
BODY_SECONDS = 60.0
"""From the head on; for the largest batch of signals, over a slow line."""

SPREAD = (0.8, 1.0)
"""Of the time for a head, so that thousands of connections that were made at once are not ended in one turn of the event loop."""

MAX_HEAD_BYTES = 64 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class RequestDeadlines(HttpToolsProtocol):
    """Ends a connection whose request is not whole in time, or its head in 64 KiB; uvicorn would wait and collect for ever."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS
    _head_deadline: asyncio.TimerHandle | None = None
    _body_deadline: asyncio.TimerHandle | None = None
    _head_is_due = False
    _body_is_due = False
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is there: the head is due."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._head_is_there()
        self._body_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        super().data_received(data)
        if self._head_is_due and self._head_deadline is None:  # most heads come whole and need no timer
            self._expect_head()
        self._head_size = self._head_size + len(data) if self._head_deadline is not None else 0
        if self._head_size > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()
        if self._body_is_due and self._body_deadline is None:  # most requests come whole and need no timer
            self._body_deadline = self.loop.call_later(self.body_seconds, self._too_late)

    def on_message_begin(self) -> None:
        """The first bytes of a request are there: the rest of its head is due."""
        super().on_message_begin()
        self._head_is_there()  # in the time it had from the connection's beginning
        self._head_is_due = True

    def on_headers_complete(self) -> None:
        """The head is whole: the body is due."""
        self._head_is_there()
        self._body_is_due = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._body_is_there()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Another protocol takes over."""
        self._body_is_there()
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment] # it refers back: all of this would wait for a garbage collection

    def _expect_head(self) -> None:
        self._head_deadline = self.loop.call_later(self.head_seconds * uniform(*SPREAD), self._too_late)  # noqa: S311 - no secret

    def _head_is_there(self) -> None:
        self._head_is_due = False
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _body_is_there(self) -> None:
        self._body_is_due = False
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None

    def _too_late(self) -> None:
        self._head_deadline = self._body_deadline = None
        self._body_is_due = False
        transport: Any = self.transport
        if transport is not None and not transport.is_closing():
            transport.close()
