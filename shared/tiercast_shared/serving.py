"""Runs a service: its HTTP server and its background work live and die together."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI

from tiercast_shared.errors import TiercastError
from tiercast_shared.http_protocol import RequestDeadlines

KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-out of usual proxies (60 s), so that it is the proxy who closes."""


CHORES_SECONDS = 1.0


class Server(uvicorn.Server):
    """uvicorn, but a signal only asks it to stop: the caller's own clean-up runs afterwards and the process exits with 0.

    uvicorn itself raises the signal again after its shutdown, which would end the process in the middle of that clean-up. It also
    wakes up ten times a second to see whether it should exit; here that is an event.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        self._exit = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether the server is to stop; set by whoever wants it to."""
        return self._exit.is_set()

    @should_exit.setter
    def should_exit(self, wanted: bool) -> None:
        if wanted:
            self._exit.set()

    async def main_loop(self) -> None:
        """Serve until `should_exit`; every second uvicorn does its chores (the `Date` of its answers)."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(CHORES_SECONDS):
                    await self._exit.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Turn SIGTERM and SIGINT into `handle_exit` for as long as the server runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens, had before anything else is started.

    Raises:
        TiercastError: the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise TiercastError(f"cannot serve on {host}:{port}: {error.strerror}") from error
    return listener


def server_config(app: FastAPI, *, host: str, port: int, **options: Any) -> uvicorn.Config:
    """How every service is served: no access log (URLs may hold tokens), our own log form, finite graceful shutdown."""
    defaults: dict[str, Any] = {
        "log_config": None,
        "access_log": False,
        "lifespan": "off",
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": 5,
        "ws": "none",
        "http": RequestDeadlines,
    }
    return uvicorn.Config(app, host=host, port=port, **(defaults | options))


@asynccontextmanager
async def background(*loops: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run endless coroutines beside the block; they are cancelled at its end, and the first that fails ends it.

    Raises:
        ExceptionGroup: what failed, after everything else was cancelled.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop(), name=loop.__qualname__) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
