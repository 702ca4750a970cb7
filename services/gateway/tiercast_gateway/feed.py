"""The signal log as this replica has it: contiguous, in two rings.

Only the entry after the last one is applied. A lower one is a repetition and dropped; a higher one means that something is
missing: it waits, and `gap` says what to fetch from ingest's log first.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.ring import LogEntry, Ring, RingItem
from tiercast_shared.contracts.signals import Feed

MAX_WAITING = 10_000
"""Entries kept beyond a gap; the rest is fetched from the log again."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An entry that has just entered the rings."""

    all: RingItem
    standard: RingItem | None
    applied_at: float
    """Unix seconds."""

    def on(self, feed: Feed) -> RingItem | None:
        """The item as `feed` has it; None if that feed does not carry it."""
        return self.all if feed is Feed.ALL else self.standard


class SignalFeed:
    """Keeps the rings contiguous, whatever order entries arrive in."""

    def __init__(
        self,
        cursors: CursorCodec,
        on_applied: Callable[[Applied], None],
        *,
        capacity: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cursors = cursors
        self._on_applied = on_applied
        self._clock = clock
        self.rings = {feed: Ring(capacity) for feed in Feed}
        self._waiting: dict[int, LogEntry] = {}
        self.epoch = ""
        self.head = 0
        self.known_head = 0
        """Highest position that is known to exist."""
        self._floor_cursors = dict.fromkeys(Feed, "")

    def begin(self, epoch: str, floor: int, standard_before: Sequence[LogEntry], *, archived: int = 0) -> None:
        """Start, or start anew, after log position `floor`; entries that came early stay waiting.

        Args:
            epoch: the log's present life.
            floor: nothing up to this position will be in the `all` ring.
            standard_before: the last standard entries up to `floor`, in order and without a gap; the `standard` ring
                begins with them, so that an all-premium stretch does not empty it. Empty if there are none at all.
            archived: what the log held up to this position, at most `floor`, cannot be had any more.
        """
        same_life = self.epoch in {"", epoch}
        self._waiting = {at: entry for at, entry in self._waiting.items() if same_life and at > floor}
        self.epoch = epoch
        self.head = floor
        self.known_head = max((floor, *self._waiting))
        self.rings[Feed.ALL].clear(floor, floor)
        # the standard ring begins at a standard signal's position: premium ones before it must not show in what can be resumed
        at, seq = (archived, 0)
        if standard_before and standard_before[0].standard_seq != 1:
            at, seq = standard_before[0].position, standard_before[0].standard_seq or 0
        self.rings[Feed.STANDARD].clear(at, seq)
        self._floor_cursors = {Feed.ALL: self._cursors.seal(epoch, floor), Feed.STANDARD: self._cursors.seal(epoch, at)}
        for entry in standard_before:
            if entry.position > at:
                self._append_standard(entry, self._cursors.seal(epoch, entry.position))

    @property
    def started(self) -> bool:
        """Whether `begin` was called."""
        return bool(self.epoch)

    @property
    def gap(self) -> bool:
        """Whether something is known to exist that has not been applied."""
        return self.known_head > self.head

    def cursor(self, feed: Feed) -> str:
        """The cursor at the end of `feed`."""
        return self.cursor_at(feed, self.head)

    def cursor_at(self, feed: Feed, position: int) -> str:
        """The cursor of the last signal of `feed` up to log `position`.

        Before the ring begins it is that of `position` itself, which came from a cursor or from a page of the log.
        """
        item = self.rings[feed].last_at(position)
        if item is not None:
            return item.cursor
        floor = self.rings[feed].floor
        return self._cursors.seal(self.epoch, position) if position < floor else self._floor_cursors[feed]

    def learn_head(self, head: int) -> None:
        """A beacon, or the log API, said that the log reaches to `head`."""
        self.known_head = max(self.known_head, head)

    def forget_beyond(self, head: int) -> None:
        """The log itself ends at `head`, whatever was said before."""
        self._waiting = {at: entry for at, entry in self._waiting.items() if at <= head}
        self.known_head = max(head, self.head)

    def offer(self, entry: LogEntry) -> None:
        """Apply `entry` if it is the next, and those that were waiting for it."""
        self.learn_head(entry.position)
        if entry.position <= self.head:
            return
        if not self.started or entry.position > self.head + 1:
            if len(self._waiting) < MAX_WAITING:
                self._waiting[entry.position] = entry
            return
        self._apply(entry)
        while self._waiting and (following := self._waiting.pop(self.head + 1, None)):
            self._apply(following)

    def _apply(self, entry: LogEntry) -> None:
        self._waiting.pop(entry.position, None)
        cursor = self._cursors.seal(self.epoch, entry.position)
        item = RingItem(entry.position, entry, cursor)
        self.rings[Feed.ALL].append(item)
        standard = self._append_standard(entry, cursor)
        self.head = entry.position
        self._on_applied(Applied(item, standard, self._clock()))

    def _append_standard(self, entry: LogEntry, cursor: str) -> RingItem | None:
        if entry.standard_seq is None:
            return None
        item = RingItem(entry.standard_seq, entry, cursor)
        self.rings[Feed.STANDARD].append(item)
        return item
