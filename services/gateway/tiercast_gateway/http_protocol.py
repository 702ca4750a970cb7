"""uvicorn's HTTP protocol, plus limits on a request's head: how long it may take, and how large it may be."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 5.0
MAX_HEAD_BYTES = 64 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class HeadTimeoutProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is not complete after 5 s or 64 KiB; uvicorn would wait and collect for ever."""

    head_seconds = HEAD_SECONDS
    _head_deadline: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is there: the head is due."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        super().data_received(data)
        self._head_size = self._head_size + len(data) if self._head_deadline is not None else 0
        if self._head_size > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first bytes of a request are there: the rest of its head is due."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_is_there()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_is_there()
        self._head_deadline = self.loop.call_later(self.head_seconds, self._too_late)

    def _head_is_there(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _too_late(self) -> None:
        self._head_deadline = None
        transport: Any = self.transport
        if transport is not None and not transport.is_closing():
            transport.close()
