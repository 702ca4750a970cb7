"""The last minute in figures: counters and histograms are sampled every second, and what they grew by is what happened. Pure."""

import math
from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
RATE_SECONDS = 10.0

Buckets = Mapping[float, float]
"""Upper bound in seconds → how many were at most that, as Prometheus counts."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted so far."""

    at: float
    """Monotonic seconds."""
    signals: float
    hops: Mapping[str, Buckets]


@dataclass(frozen=True, slots=True)
class HopTimes:
    """How long signals of the last minute took on one part of their way, in milliseconds; None when none took it."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Recent:
    """Keeps a minute of samples, all of the same hops and bounds.

    Each is kept as one piece of bytes: as thousands of numbers of their own, new ones every second, they would lie all over the
    process's memory and keep it from being given back (see `memory`).
    """

    def __init__(self) -> None:
        self._samples: deque[bytes] = deque()
        """Eight bytes a number: the time, signals, and the counts of `_columns`."""
        self._columns: list[tuple[str, float]] = []
        """Hop and upper bound of each count."""

    def add(self, sample: Sample) -> None:
        """Take a sample, later than all before."""
        if not self._columns:
            self._columns = [(hop, bound) for hop, buckets in sample.hops.items() for bound in buckets]
        counts = (sample.hops[hop][bound] for hop, bound in self._columns)
        self._samples.append(array("d", [sample.at, sample.signals, *counts]).tobytes())
        while sample.at - self._at(0)[0] > WINDOW_SECONDS:
            self._samples.popleft()

    def _at(self, index: int) -> list[float]:
        return array("d", self._samples[index]).tolist()

    def signals_per_second(self) -> float:
        """Over the last ten seconds."""
        if len(self._samples) < 2:
            return 0.0
        ends = (self._at(index)[:2] for index in range(len(self._samples)))
        at, signals = self._at(-1)[:2]
        first_at, first_signals = next(end for end in ends if at - end[0] <= RATE_SECONDS)
        return (signals - first_signals) / (at - first_at) if at > first_at else 0.0

    def hops(self) -> dict[str, HopTimes]:
        """By hop, over the last minute."""
        if not self._samples:
            return {}
        grown: dict[str, dict[float, float]] = {}
        for (hop, bound), first, last in zip(self._columns, self._at(0)[2:], self._at(-1)[2:], strict=True):
            grown.setdefault(hop, {})[bound] = last - first
        return {hop: _times(buckets) for hop, buckets in grown.items()}


def _times(buckets: Buckets) -> HopTimes:
    count = buckets.get(math.inf, 0)
    p50, p95, p99 = (quantile(share, buckets) for share in (0.5, 0.95, 0.99))
    return HopTimes(int(count), p50, p95, p99)


def quantile(share: float, buckets: Buckets) -> float | None:
    """In milliseconds, interpolated within its bucket as Prometheus' `histogram_quantile` does; None of nothing."""
    total = buckets.get(math.inf, 0)
    if total <= 0:
        return None
    wanted, lower, below = share * total, 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= wanted:
            if math.isinf(bound):
                break
            return 1000 * (lower + (bound - lower) * (wanted - below) / (count - below))
        lower, below = bound, count
    return 1000 * lower
