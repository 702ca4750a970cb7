"""A histogram of seconds, cheap to count in: it is counted several times for each signal, and read every second."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. The promise, 0.5, must be one of them."""

_ALL_BOUNDS = (*map(float, BOUNDS), math.inf)
_NAMES = (*(str(float(bound)) for bound in BOUNDS), "+Inf")


class TimeHistogram(Collector):
    """One series for each value of its one label, all of which are known from the start.

    Counted by one thread; others that read see each figure as it is at that moment. prometheus-client's own histogram takes two
    locks for each observation, and makes an object of every bucket when it is read.
    """

    def __init__(self, name: str, text: str, label: str, values: Iterable[str]) -> None:
        self._name, self._text, self._label = name, text, label
        self._counts = {value: [0] * len(_ALL_BOUNDS) for value in values}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, value: str, seconds: float, times: int = 1) -> None:
        """It took `seconds`, and so many times; less than none, by clocks that differ, counts as none."""
        seconds = max(0.0, seconds)
        self._counts[value][bisect_left(BOUNDS, seconds)] += times
        self._sums[value] += times * seconds

    def counted(self) -> dict[str, dict[float, float]]:
        """By value, how many took at most each bound (seconds)."""
        return {
            value: dict(zip(_ALL_BOUNDS, accumulate(counts), strict=True)) for value, counts in self._counts.items()
        }

    def collect(self) -> Iterable[Metric]:
        """The histogram as it is now."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        for value, counts in self._counts.items():
            family.add_metric(
                [value], list(zip(_NAMES, map(float, accumulate(counts)), strict=True)), self._sums[value]
            )
        yield family
