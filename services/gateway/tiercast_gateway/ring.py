"""The last signals of one feed, in memory, shared by all who read it."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the signal log, from an event or from the log API."""

    position: int
    standard_seq: int | None
    """Position in the standard feed; None for a premium signal."""
    symbol: str
    data: bytes
    committed_at: float
    received_at: float
    published_at: float | None = None
    """None when it came from the log API."""
    correlation_id: str | None = None

    @property
    def premium(self) -> bool:
        """Whether only the `all` feed carries it."""
        return self.standard_seq is None


@dataclass(frozen=True, slots=True)
class RingItem:
    """An entry as one feed has it."""

    seq: int
    """Position in this feed."""
    entry: LogEntry
    cursor: str


class Ring:
    """At most `capacity` items; whole for every position above `floor`."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.clear(0, 0)

    def clear(self, floor: int, seq: int) -> None:
        """Begin anew after the log position `floor`, at which this feed had reached `seq`."""
        self._items: list[RingItem] = []
        self._positions: list[int] = []
        self._start = 0
        self.floor = floor
        self.seq = seq

    def __len__(self) -> int:
        return len(self._items) - self._start

    def append(self, item: RingItem) -> None:
        """Add the next item, dropping the oldest when full."""
        self._items.append(item)
        self._positions.append(item.entry.position)
        self.seq = item.seq
        if len(self) > self._capacity:
            self.floor = self._positions[self._start]
            self._start += 1
            if self._start >= self._capacity:  # every item is moved once per turn of the ring
                del self._items[: self._start]
                del self._positions[: self._start]
                self._start = 0

    def after(self, position: int, upto: int, limit: int) -> list[RingItem]:
        """Up to `limit` items with `position` < their position <= `upto`, oldest first. Whole only if `position` >= `floor`."""
        low = bisect_right(self._positions, position, self._start)
        high = min(bisect_right(self._positions, upto, low), low + limit)
        return self._items[low:high]

    def newest(self) -> Iterator[RingItem]:
        """All items, newest first."""
        return (self._items[i] for i in range(len(self._items) - 1, self._start - 1, -1))

    def last_at(self, position: int) -> RingItem | None:
        """The newest item up to log `position`."""
        index = bisect_right(self._positions, position, self._start) - 1
        return self._items[index] if index >= self._start else None
