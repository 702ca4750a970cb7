"""Publishes a log to its exchange: a cursor over the log that moves when the broker has confirmed.

What is published again carries the same position and body, so repeating is always safe, and a publish that timed out is repeated
rather than assumed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import takewhile
from typing import NamedTuple, Protocol

from tiercast_shared.contracts.base import SCHEMA_VERSION, Beacon
from tiercast_shared.errors import Unavailable, reasons
from tiercast_shared.eventlog.beacon import BEACON_SECONDS, beacon_event
from tiercast_shared.eventlog.lease import LEASE_SECONDS, RENEW_SECONDS, LeaseLost, PublisherLease
from tiercast_shared.eventlog.listener import POLL_SECONDS
from tiercast_shared.eventlog.models import Head
from tiercast_shared.messaging.broker import BROKER_ERRORS, HeaderValue, OutgoingEvent
from tiercast_shared.observability import get_logger

WINDOW = 200
"""Messages without a confirm at any time."""

SAVE_SECONDS = 0.1
"""The cursor is saved at most this often: saving it less only means to publish a little again after a crash."""

OFFER_SECONDS = 0.003
"""How much later than the database's own notice of a commit the committing process may offer its entries: else they are read."""

KEEP_UP_SECONDS = 0.1
"""For how long a writer lets the publisher catch up, at most: a broker that does not answer must not stop it."""

RETRY_SECONDS = 0.5

RELEASE_TIMEOUT = 1.0
"""Seconds to give the lease up at the end; it ends by itself soon after."""

PUBLISH_THE_REST_SECONDS = 2.0

log = get_logger()


class LogEvent(NamedTuple):
    """An entry of a log as it is published; epoch and time are put in when it is."""

    seq: int
    type: str
    body: bytes
    headers: dict[str, HeaderValue]
    message_id: str
    correlation_id: str
    committed_at: float


class EventSource(Protocol):
    """Where the entries are read from."""

    async def head(self) -> Head:
        """Where the log ends now."""

    async def events_after(self, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        """The head, and at most `limit` entries from `seq` + 1 on, in order."""


class EventOutlet(Protocol):
    """Where events go; `Outlet` in production."""

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish in order; returns when all are confirmed."""


class PublisherObserver(Protocol):
    """Told what the publisher does, for metrics."""

    def holding(self, held: bool) -> None:
        """The lease was won or lost."""

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        """Events were confirmed; `at` is when they were sent, Unix seconds."""


class Publisher:
    """Publishes one log, while it holds the lease to."""

    def __init__(
        self,
        source: EventSource,
        lease: PublisherLease,
        open_outlet: Callable[[], AbstractAsyncContextManager[EventOutlet]],
        observer: PublisherObserver,
        *,
        poll_seconds: Callable[[], float] = lambda: POLL_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        window: int = WINDOW,
    ) -> None:
        self._source = source
        self._lease = lease
        self._open_outlet = open_outlet
        self._observer = observer
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._window = window
        self._recent: deque[LogEvent] = deque(maxlen=4 * window)
        self._wake, self._offered, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._head = Head("", 0)
        self._cursor = 0
        self._saved = 0
        self._holding = False
        self._held_until = 0.0

    @property
    def backlog(self) -> int:
        """Entries committed, as far as this replica knows, and not yet confirmed by the broker; 0 while another one publishes."""
        return max(0, self._head.seq - self._cursor) if self._holding else 0

    def offer(self, head: Head, events: Iterable[LogEvent]) -> None:
        """Hand over entries that this process has just committed, so that they need not be read back."""
        self._recent.extend(events)
        self._offered.set()
        self._learn(head)

    def hint(self, seq: int) -> None:
        """Tell that the log has reached position `seq`, whoever committed it: what was not offered is read at once."""
        self._learn(Head(self._head.epoch, seq))

    def _learn(self, head: Head) -> None:
        if head.seq > self._head.seq or head.epoch != self._head.epoch:
            self._head = head
            self._wake.set()

    async def keep_up(self) -> None:
        """Wait a moment while more than a window is not published yet.

        A writer that is faster than the publisher only makes each signal wait behind more of them. What waits before the log can
        still be overtaken there, by another producer's single signal; what is in the log cannot.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(KEEP_UP_SECONDS):
                while self.backlog > self._window:
                    self._moved.clear()
                    await self._moved.wait()

    async def publish_the_rest(self) -> None:
        """Before a stop, give what is committed a moment; what is left then is published by the next holder of the lease."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PUBLISH_THE_REST_SECONDS):
                while self.backlog:  # noqa: ASYNC110 - a few rounds, once
                    await asyncio.sleep(0.01)

    async def run(self) -> None:
        """Publish until cancelled, whatever the broker and the database do."""
        try:
            while True:
                try:
                    await self._publish_while_possible()
                except* (LeaseLost, Unavailable, *BROKER_ERRORS) as errors:
                    log.warning("publishing interrupted, will go on", reason=reasons(errors), once_in=30)
                self._hold(False)
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._hold(False)
            with suppress(LeaseLost, Unavailable, TimeoutError):
                async with asyncio.timeout(RELEASE_TIMEOUT):
                    if self._cursor > self._saved:
                        await self._lease.save(self._cursor, self._saved)
                    await self._lease.release()

    def _hold(self, held: bool) -> None:
        self._holding = held
        self._moved.set()
        self._observer.holding(held)

    async def _publish_while_possible(self) -> None:
        async with self._open_outlet() as outlet:
            self._cursor = self._saved = await self._wait_for_lease()
            self._recent.clear()  # they may be of a log that was restored since, with other entries in these positions
            self._head = await self._source.head()
            self._hold(True)
            log.info("publishing", holder=self._lease.holder, cursor=self._cursor, epoch=self._head.epoch)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._publish(outlet))
                group.create_task(self._beacon(outlet))
                group.create_task(self._renew())
                group.create_task(self._save())

    async def _wait_for_lease(self) -> int:
        while (cursor := await self._take_lease()) is None:  # noqa: ASYNC110 - only the database knows when it is free
            await asyncio.sleep(RENEW_SECONDS)
        return cursor

    async def _take_lease(self) -> int | None:
        asked_at = self._monotonic()
        cursor = await self._lease.take()
        if cursor is not None:
            self._held_until = asked_at + LEASE_SECONDS
        return cursor

    def _check_lease(self) -> None:
        """Notice, without asking anybody, that this process was stopped for longer than its lease lasted."""
        if self._monotonic() > self._held_until:
            raise LeaseLost("the lease was not renewed in time: was this process stopped?")

    async def _publish(self, outlet: EventOutlet) -> None:
        look = True
        while True:
            self._wake.clear()
            self._offered.clear()
            events = self._take_recent() or await self._read_what_is_not_offered(look=look)
            if events:
                await self._publish_batch(outlet, events)
            look = not events and not await self._woken()

    async def _read_what_is_not_offered(self, *, look: bool) -> Sequence[LogEvent]:
        if not look and self._cursor < self._head.seq:  # hinted at, and most often by a commit of this very process
            with suppress(TimeoutError):
                async with asyncio.timeout(OFFER_SECONDS):
                    await self._offered.wait()
            if events := self._take_recent():
                return events
        if look:
            self._learn(await self._source.head())  # ten times a second on SQLite, and hardly ever is there anything
        return await self._read() if self._cursor < self._head.seq else []

    async def _publish_batch(self, outlet: EventOutlet, events: Sequence[LogEvent]) -> None:
        self._check_lease()
        at = self._clock()
        await outlet.publish([self._stamp(event, at) for event in events])
        self._cursor = events[-1].seq
        self._moved.set()
        self._observer.published(events, at)

    async def _woken(self) -> bool:
        """Wait until there is something to publish; False when it is time to look oneself."""
        try:
            async with asyncio.timeout(self._poll_seconds()):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _take_recent(self) -> list[LogEvent]:
        while self._recent and self._recent[0].seq <= self._cursor:
            self._recent.popleft()
        following = takewhile(lambda pair: pair[1].seq == pair[0], enumerate(self._recent, self._cursor + 1))
        return [event for _, event in zip(range(self._window), (event for _, event in following), strict=False)]

    async def _read(self) -> Sequence[LogEvent]:
        head, events = await self._source.events_after(self._cursor, self._window)
        self._learn(head)
        return events

    def _stamp(self, event: LogEvent, at: float) -> OutgoingEvent:
        headers: dict[str, HeaderValue] = {
            "type": event.type,
            "schema": SCHEMA_VERSION,
            "epoch": self._head.epoch,
            "seq": event.seq,
            **event.headers,
            "committed_at": event.committed_at,
            "published_at": at,
        }
        return OutgoingEvent(event.body, headers, event.message_id, event.correlation_id, event.type)

    async def _beacon(self, outlet: EventOutlet) -> None:
        while True:
            beacon = Beacon(
                epoch=self._head.epoch, head=self._cursor, committed=max(self._head.seq, self._cursor), at=self._clock()
            )
            self._check_lease()
            await outlet.publish([beacon_event(beacon)])
            await asyncio.sleep(BEACON_SECONDS)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            async with asyncio.timeout(LEASE_SECONDS - RENEW_SECONDS):  # not renewed in time, it is lost
                await self._renew_lease()

    async def _renew_lease(self) -> None:
        saved = self._saved
        cursor = await self._take_lease()
        if cursor is None:
            raise LeaseLost("another replica publishes now")
        if cursor < saved:
            raise LeaseLost(f"the cursor went back from {saved} to {cursor}: was the database restored?")

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self._cursor != self._saved:
                cursor = self._cursor
                await self._lease.save(cursor, self._saved)
                self._saved = cursor
