"""The real edge on a real port: uvicorn, both protocol classes and the pure parts, in a thread with a loop of its own.

Tests talk to it over sockets, and reach into it through `call`, which runs in the server's loop.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response

from tests.unit.gateway.doubles import AUDIENCE, EPOCH, ISSUER, SECRET, Log, LogClient, signal_data
from tiercast_gateway.auth import TokenVerifier
from tiercast_gateway.connection import Connection
from tiercast_gateway.connection_limits import ConnectionLimits
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.edge import Edge
from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.handshake_limits import HandshakeLimits
from tiercast_gateway.hub import Hub
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.presence import Presence
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.signatures import OwnKeys
from tiercast_gateway.stats import stats_router
from tiercast_gateway.tier_cache import TierCache
from tiercast_shared.contracts.tiers import Tier, TierLookup, TierState
from tiercast_shared.http_protocol import RequestDeadlines
from tiercast_shared.serving import server_config

LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
ORIGIN = "https://app.test"
Result = TypeVar("Result")


class QuickHead(RequestDeadlines):
    """The production class, less patient."""

    head_seconds = 0.4


async def _echo(request: Request) -> Response:
    return Response(await request.body())


class EdgeServer:
    """A context manager; users are PRO unless `tiers` says otherwise."""

    def __init__(
        self,
        loop: str = "uvloop",
        *,
        http: type[RequestDeadlines] = RequestDeadlines,
        refusal: Callable[[], str | None] = lambda: None,
        capacity: int = 10_000,
        close_seconds: float = 5.0,
        max_connections: int = 100_000,
        handshakes: HandshakeLimits | None = None,
    ) -> None:
        self.tiers_of: dict[str, Tier] = {}
        self._loop_factory = LOOPS[loop]
        self._http = http
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="edge")
        self._started = threading.Event()
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        cursors = CursorCodec("service-key")
        self.cursors, self.log = cursors, Log()
        self.feed = SignalFeed(cursors, lambda applied: self.hub.publish(applied), capacity=capacity)  # noqa: PLW0108
        self.hub = Hub(
            self.feed.rings,
            call_soon=lambda turn: asyncio.get_running_loop().call_soon(turn),
            on_overrun=lambda connection: self.sessions.overran(connection),  # noqa: PLW0108 - made below
        )
        self.tiers = TierCache(lambda: 0.0, lambda *what: self.sessions.tier_learnt(*what))  # noqa: PLW0108 - made below
        self.presence = Presence("edge", "1")
        self.sessions = Sessions(
            hub=self.hub,
            feed=self.feed,
            tiers=self.tiers,
            limits=ConnectionLimits(self.presence, lambda _user: max_connections),
            missed=MissedSignals(LogClient(self.log), self.feed, cursors),
            verify=TokenVerifier([OwnKeys(secret=SECRET)], issuer=ISSUER, audience=AUDIENCE).verify,
            look_up=self._look_up,
            entitlements=DEFAULT_ENTITLEMENTS,
        )
        self.edge = Edge(
            self.sessions,
            allowed_origins=frozenset({ORIGIN}),
            refusal=refusal,
            close_seconds=close_seconds,
            limits=handshakes,
        )
        self.feed.begin(EPOCH, 0, [])
        self.hub.begin(0)
        self.tiers.begin(EPOCH, 0)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/signals"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, what: Callable[[], Result]) -> Result:
        """Run `what` in the server's loop and return its result."""
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(what())
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                done.set_exception(error)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(run)
        return done.result(timeout=10)

    def publish(self, count: int = 1, *, premium: bool = False, size: int = 0) -> None:
        """Publish signals in one step of the loop, each at least `size` bytes long."""

        def now() -> None:
            for _ in range(count):
                entry = self.log.add(premium=premium)
                data = signal_data(entry.position, premium=premium, reasoning="x" * size)
                self.feed.offer(LogEntry(entry.position, entry.standard_seq, entry.symbol, data, 0.0, 0.0))

        self.call(now)

    def connections(self) -> list[Connection]:
        return self.call(lambda: list(self.sessions))

    def _look_up(self, user_id: str) -> None:
        state = TierState(tier=self.tiers_of.get(user_id, Tier.PRO), version=0)
        lookup = TierLookup(epoch=EPOCH, head=0, tiers={user_id: state})
        asyncio.get_running_loop().call_soon(self.tiers.answered, lookup)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = FastAPI()
        app.include_router(stats_router(self.presence))
        app.add_route("/echo", _echo, methods=["POST"])
        config = server_config(
            app, host="127.0.0.1", port=self.port, ws=self.edge.protocol, http=self._http, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        sweeping = asyncio.create_task(self._sweep())
        self._loop.call_soon(self._started.set)
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            sweeping.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.sessions.sweep()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for connection in self.connections():
            self.call(connection.wire.abort)  # type: ignore[attr-defined] # the edge's own
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server does not stop"
