"""The last minute in figures: counters and histograms are sampled every second, and what they grew by is what happened. Pure."""

import math
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
    """Keeps a minute of samples."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque()

    def add(self, sample: Sample) -> None:
        """Take a sample, later than all before."""
        self._samples.append(sample)
        while sample.at - self._samples[0].at > WINDOW_SECONDS:
            self._samples.popleft()

    def signals_per_second(self) -> float:
        """Over the last ten seconds."""
        if len(self._samples) < 2:
            return 0.0
        last = self._samples[-1]
        first = next(sample for sample in self._samples if last.at - sample.at <= RATE_SECONDS)
        return (last.signals - first.signals) / (last.at - first.at) if last.at > first.at else 0.0

    def hops(self) -> dict[str, HopTimes]:
        """By hop, over the last minute."""
        if not self._samples:
            return {}
        first, last = self._samples[0].hops, self._samples[-1].hops
        return {hop: _times({bound: count - first[hop][bound] for bound, count in last[hop].items()}) for hop in last}


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
