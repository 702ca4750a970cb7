"""Server-sent events: the same signals for clients that cannot have a WebSocket.

A stream is a task that reads the rings from its own position. It belongs to one tier: when its user's tier changes, its token ends
or this replica drains, the task is cancelled, and the client comes back by itself with `Last-Event-ID`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tiercast_gateway.callers import Caller
from tiercast_gateway.connection_limits import ConnectionLimits, TooManyConnections
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.frames import signal_json
from tiercast_gateway.missed import Missed, MissedSignals, Resume
from tiercast_gateway.ring import RingItem
from tiercast_gateway.tier_cache import TierCache
from tiercast_shared.contracts.frames import ResyncRequired
from tiercast_shared.errors import Unavailable

HEARTBEAT_SECONDS = 15.0
CHUNK = 100
"""Signals in one write."""

RETRY_MS = 1000
HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}


class Streams:
    """All streams of this replica."""

    def __init__(
        self,
        feed: SignalFeed,
        missed: MissedSignals,
        tiers: TierCache,
        limits: ConnectionLimits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.feed = feed
        self.missed = missed
        self._tiers = tiers
        self._limits = limits
        self._clock = clock
        self._streams: dict[EventStream, None] = {}
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._streams)

    def news(self) -> None:
        """Signals have entered the rings."""
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Wait for news; returns whether there were any."""
        news = self._news
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()
        return news.is_set()

    def opened(self, stream: "EventStream") -> None:
        """A stream begins: its user is remembered while it lasts, and it counts as one of the user's connections."""
        self._streams[stream] = None
        caller = stream.caller
        self._tiers.connect(caller.user_id)
        self._limits.opened(caller.user_id, stream, caller.tier, stream.end)

    def closed(self, stream: "EventStream") -> None:
        """A stream is over."""
        del self._streams[stream]
        self._limits.presence.closed(stream.caller.user_id, stream)
        self._tiers.disconnect(stream.caller.user_id)

    def admit(self, caller: Caller) -> None:
        """Let one more connection of a user in.

        Raises:
            TooManyConnections: the user has had others pushed out too often.
        """
        if not self._limits.admits(caller.user_id):
            raise TooManyConnections

    def verified(self, caller: Caller) -> bool:
        """Whether the caller's tier is known for certain now."""
        return self._tiers.trusted(caller.user_id)

    def sweep(self) -> None:
        """End the streams whose user is no longer served as what they began with, or whose token is over."""
        now = self._clock()
        for stream in list(self._streams):
            caller = stream.caller
            changed = self._tiers.tier_of(caller.user_id) is not caller.tier
            if changed or caller.expires_at <= now or self._tiers.revoked(caller.user_id, caller.issued_at):
                stream.end()

    def end_all(self) -> None:
        """This replica drains."""
        for stream in list(self._streams):
            stream.end()


class EventStream(Response):
    """The answer of `GET /api/v1/signals/stream`."""

    def __init__(self, streams: Streams, caller: Caller, cursor: str | None) -> None:
        # without a body of its own, which would bring a Content-Length
        self.status_code, self.background = 200, None
        self.init_headers(HEADERS)
        self.caller = caller
        self._streams = streams
        resume = streams.missed.resume(cursor) if cursor else Resume(streams.feed.head)
        self._position, self._problem = resume.position, resume.problem
        self._pump: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Cancel it, even where a full transport holds up a write."""
        if self._pump is not None:
            self._pump.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Stream until the client leaves or the stream is ended."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        self._pump = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_disconnected(receive))
        self._streams.opened(self)
        try:
            await asyncio.wait({self._pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.closed(self)
            self._pump.cancel()
            gone.cancel()
            await asyncio.gather(self._pump, gone, return_exceptions=True)
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        async for chunk in self._chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MS
        if self._problem is not None:
            yield self._resync(self._problem)
        while True:
            missed = await self._read()
            if missed.problem is not None:
                self._position = missed.reached
                yield self._resync(missed.problem)
                continue
            self._position = missed.reached
            if missed.items:
                # while the tier cannot be verified, premium signals may be missing: without an id, the client resumes before them
                verified = self._streams.verified(self.caller)
                yield b"".join(_event(item, with_id=verified) for item in missed.items)
            elif not await self._streams.wait(HEARTBEAT_SECONDS):
                yield b": heartbeat\n\n"

    async def _read(self) -> Missed:
        while True:
            try:
                return await self._streams.missed.after(self.caller.entitlement.feed, self._position, CHUNK)
            except Unavailable as error:
                await asyncio.sleep(error.retry_after)

    def _resync(self, reason: str) -> bytes:
        cursor = self._streams.feed.cursor_at(self.caller.entitlement.feed, self._position)
        frame = ResyncRequired(reason=reason, cursor=cursor)
        return b"id: %s\ndata: %s\n\n" % (cursor.encode(), orjson.dumps(frame.model_dump(mode="json")))


def _event(item: RingItem, *, with_id: bool) -> bytes:
    data = signal_json(item.seq, item.cursor, item.entry.data)
    return b"id: %s\ndata: %s\n\n" % (item.cursor.encode(), data) if with_id else b"data: %s\n\n" % data


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
