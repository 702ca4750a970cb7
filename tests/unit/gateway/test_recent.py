"""Figures of the last minute come from what counters grew by."""

import math

import pytest

from tiercast_gateway.recent import Recent, Sample, quantile


def sample(at: float, signals: float, **hops: float) -> Sample:
    """So many signals in all, of which each hop took up to 10 ms."""
    return Sample(at, signals, {hop: {0.01: count, 0.1: count, math.inf: count} for hop, count in hops.items()})


def test_nothing_is_known_at_first() -> None:
    recent = Recent()
    assert (recent.signals_per_second(), recent.hops()) == (0.0, {})
    recent.add(sample(1, 100, a=100))
    assert recent.signals_per_second() == 0.0
    assert recent.hops()["a"].count == 0
    assert recent.hops()["a"].p50_ms is None


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    recent = Recent()
    for second in range(31):
        recent.add(sample(second, 0 if second <= 20 else (second - 20) * 7))
    assert recent.signals_per_second() == pytest.approx(7)


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    recent = Recent()
    for second in range(200):
        recent.add(sample(second, 10 * second, a=10 * second))
    times = recent.hops()["a"]
    assert times.count == 600
    assert times.p50_ms == pytest.approx(5)
    assert times.p99_ms == pytest.approx(9.9)


@pytest.mark.parametrize(
    ("share", "milliseconds"), [(0.5, 10.0), (0.25, 5.0), (0.75, 55.0), (0.9, 100.0), (0.95, 100.0)]
)
def test_quantiles_are_interpolated_and_end_at_the_last_bound(share: float, milliseconds: float) -> None:
    buckets = {0.01: 50.0, 0.1: 100.0 if share <= 0.75 else 90.0, math.inf: 100.0}
    assert quantile(share, buckets) == pytest.approx(milliseconds)
