"""Keeps the signal feed whole from ingest's log: at start, on gaps, and when the log begins a new life."""

import asyncio
from collections.abc import Callable

from tiercast_gateway.clients import LAST, IngestClient
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.ring import LogEntry
from tiercast_shared.errors import Unavailable
from tiercast_shared.observability import get_logger

PAGE = 1000
RETRY_SECONDS = 0.5

log = get_logger()


class SignalRefill:
    """Fetches what is missing whenever it is told that something may be."""

    def __init__(self, client: IngestClient, feed: SignalFeed, *, on_loaded: Callable[[], None], capacity: int) -> None:
        self._client = client
        self._feed = feed
        self._on_loaded = on_loaded
        self._capacity = capacity
        self._wanted = asyncio.Event()
        self._look = True
        self._problem: str | None = None
        self.restored_short = 0
        """How often the log was found to end before what was delivered of it."""

    def needed(self, *, look: bool = False) -> None:
        """Something is missing; with `look`, something may be that nobody has told of, or the log may have begun a new life."""
        self._look = self._look or look
        self._wanted.set()

    def problem(self) -> str | None:
        """What keeps the feed from being whole, for `/readyz`."""
        if not self._feed.started:
            return self._problem or "the signal log has not been read yet"
        return None

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._fill()
                if self._problem is not None:
                    log.info("signal log can be read again")
                self._problem = None
            except Unavailable as error:
                if error.message != self._problem:  # said once, not at every attempt
                    log.warning("signal log cannot be read, will try again", reason=error.message)
                self._problem, self._look = error.message, True
                self._wanted.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _fill(self) -> None:
        if not self._feed.started:
            await self._load()
        while self._feed.gap or self._look:
            self._look = False
            asked, said = self._feed.head, self._feed.known_head
            page = await self._client.after(asked, PAGE)
            shorter = page.head < asked  # not than the feed is by now: the broker may have been faster than this page
            if shorter:
                self.restored_short += 1
                log.error(
                    "the signal log is shorter than what was delivered: it was restored without a new epoch, "
                    "so clients may miss signals; run 'tiercast-ingest epoch rotate'",
                    delivered=asked,
                    log=page.head,
                )
            archived = page.floor > self._feed.head
            if shorter or archived or page.epoch != self._feed.epoch:
                await self._load()
                self._look = True  # what was published meanwhile was not taken, for it was of another epoch
                continue
            if not page.entries:
                if self._feed.known_head == said:  # nothing newer was told meanwhile
                    self._feed.forget_beyond(page.head)  # it was said to exist, and does not: the log itself is right
                continue
            self._feed.learn_head(page.head)
            log.info("filling a gap in the signal feed", after=self._feed.head, entries=len(page.entries))
            for entry in page.entries:
                self._feed.offer(entry)

    async def _load(self) -> None:
        end = await self._client.after(LAST, 1)
        floor = max(end.floor, end.head - self._capacity)
        tail: list[LogEntry] = []
        while floor + len(tail) < end.head:
            page = await self._client.after(floor + len(tail), PAGE)
            if page.epoch != end.epoch or page.floor > floor or not page.entries:
                raise Unavailable("the signal log was recreated or archived while it was read")
            tail += page.entries
        standard = await self._standard_before(floor + 1)
        self._feed.begin(end.epoch, floor, standard, archived=end.floor)
        for entry in tail:
            self._feed.offer(entry)
        self._on_loaded()
        log.info("signal feed loaded", epoch=end.epoch, head=self._feed.head, entries=len(tail))

    async def _standard_before(self, position: int) -> list[LogEntry]:
        found: list[LogEntry] = []
        while position > 1 and len(found) < self._capacity:
            page = (await self._client.standard_before(position, min(PAGE, self._capacity))).entries
            if not page:
                break
            found = page + found
            position = page[0].position
        return found
