"""What a client has missed, from the rings if they reach back far enough, else from ingest's log."""

from dataclasses import dataclass

from tiercast_gateway.clients import SignalLog
from tiercast_gateway.cursor import CursorCodec, InvalidCursor, epoch_tag
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.ring import LogEntry, RingItem
from tiercast_shared.contracts.signals import Feed

MAX_REPLAY = 100_000
"""Positions of the log that one resume may ask for."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a cursor says to go on, or why that cannot be whole."""

    position: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A piece of one feed, oldest first."""

    items: list[RingItem]
    reached: int
    """Log position up to which nothing is missing after it."""
    problem: str | None = None
    """Why what follows the asked position cannot be had whole."""


class MissedSignals:
    """Reads any piece of a feed."""

    def __init__(self, log: SignalLog, feed: SignalFeed, cursors: CursorCodec, *, max_replay: int = MAX_REPLAY) -> None:
        self._log = log
        self._feed = feed
        self._cursors = cursors
        self._max_replay = max_replay

    def resume(self, cursor: str) -> Resume:
        """What `cursor` asks for. A position that this replica has not come to yet is no problem."""
        try:
            place = self._cursors.open(cursor)
        except InvalidCursor:
            return Resume(self._feed.head, "invalid_cursor")
        if place.epoch_tag != epoch_tag(self._feed.epoch):
            return Resume(self._feed.head, "feed_recreated")
        if self._feed.head - place.position > self._max_replay:
            return Resume(self._feed.head, "cursor_too_old")
        return Resume(place.position)

    async def after(self, feed: Feed, position: int, limit: int) -> Missed:
        """Up to `limit` signals of `feed` after log `position`.

        Raises:
            Unavailable: they are not in the rings, and the log cannot be read.
        """
        ring = self._feed.rings[feed]
        if position > self._feed.head:
            problem = await self._problem_ahead(position)
            if problem is not None:
                return Missed([], self._feed.head, problem)
        if position >= ring.floor:
            items = ring.after(position, self._feed.head, limit)
            return Missed(items, items[-1].entry.position if len(items) == limit else max(position, self._feed.head))
        page = await self._log.after(position, limit, feed=feed)
        if page.epoch != self._feed.epoch:
            return Missed([], self._feed.head, "feed_recreated")
        if position < page.floor:
            return Missed([], self._feed.head, "cursor_too_old")
        items = [self._item(feed, entry) for entry in page.entries]
        reached = page.entries[-1].position if len(page.entries) == limit else max(position, page.head)
        return Missed(items, reached)

    async def _problem_ahead(self, position: int) -> str | None:
        """A position that this replica has not come to yet is sound if the log has come to it."""
        page = await self._log.after(position, 1)
        if page.epoch != self._feed.epoch:
            return "feed_recreated"
        return "cursor_ahead" if position > max(page.head, self._feed.head) else None

    def _item(self, feed: Feed, entry: LogEntry) -> RingItem:
        seq = entry.position if feed is Feed.ALL else entry.standard_seq or 0
        return RingItem(seq, entry, self._cursors.seal(self._feed.epoch, entry.position))
