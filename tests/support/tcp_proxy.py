"""A TCP proxy that misbehaves on demand: latency, slicing, resets, black holes, refusals."""

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

from tiercast_local.ports import LOOPBACK, free_port

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing sends RST


class TcpProxy:
    """Listens on `port` and passes everything on to `target_port`; an async context manager.

    The attributes may be changed at any time and act on open connections too.
    """

    def __init__(self, target_port: int, port: int | None = None) -> None:
        self.target_port = target_port
        self.port = port or free_port()
        self.latency = 0.0
        """Seconds that each piece waits, in both directions."""
        self.slice_bytes = CHUNK
        """Largest piece that is passed on at a time."""
        self.passing = asyncio.Event()
        """Cleared, the network is a black hole: bytes are taken in and go nowhere, connections stay open."""
        self.passing.set()
        self.refusing = False
        """New connections are reset at once."""
        self._open: set[asyncio.StreamWriter] = set()
        self._swallowed: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        """Connections that pass through it now."""
        return len(self._open) // 2

    def reset_all(self) -> None:
        """Cut every connection with a RST on both sides."""
        for writer in list(self._open):
            _reset(writer)

    def swallow_open(self) -> None:
        """From now on nothing that is sent over the present connections arrives; new ones work. Neither side is told."""
        self._swallowed |= self._open

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.reset_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            _reset(writer)
            return
        there_reader, there = await asyncio.open_connection(LOOPBACK, self.target_port)
        self._open |= {writer, there}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there))
                group.create_task(self._pump(there_reader, writer))
        except* OSError:
            _reset(writer)
            _reset(there)
        finally:
            for each in (writer, there):
                self._open.discard(each)
                each.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(self.slice_bytes):
            if self.latency:
                await asyncio.sleep(self.latency)
            await self.passing.wait()
            if sink not in self._swallowed:
                sink.write(data)
                await sink.drain()
        while sink in self._swallowed:  # noqa: ASYNC110 - not even the close is told, until the proxy ends
            await asyncio.sleep(1)
        with contextlib.suppress(OSError):
            sink.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket | None = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
