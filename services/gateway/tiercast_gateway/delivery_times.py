"""How long signals take to the users of each tier: what the promise of 500 ms is measured by."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tiercast_gateway.feed import Applied
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. The promise, 0.5, must be one of them."""


class DeliveryTimes(Collector):
    """A histogram by tier, from ingest's receipt of a signal to the end of the round that wrote it.

    A signal counts once for every open connection of a tier that is entitled to it. This is counted at the end of each round,
    from the number of connections: nothing is done per delivery. So a filter by symbol is not looked at, and a connection that
    does not read counts with the others; such connections are counted by `tiercast_gateway_connection_flows`.
    """

    def __init__(self, feeds: Mapping[Tier, Feed]) -> None:
        self._feeds = feeds
        self._counts = {tier: [0] * (len(BOUNDS) + 1) for tier in feeds}
        self._sums = dict.fromkeys(feeds, 0.0)

    def written(self, batch: Iterable[Applied], connections: Mapping[Tier, int], now: float) -> None:
        """A round is over at `now` (Unix seconds), with so many open connections of each tier."""
        present = [(tier, self._feeds[tier], count) for tier, count in connections.items() if count]
        for applied in batch:
            seconds = max(0.0, now - applied.all.entry.received_at)
            bucket = bisect_left(BOUNDS, seconds)
            for tier, feed, count in present:
                if applied.on(feed) is not None:
                    self._counts[tier][bucket] += count
                    self._sums[tier] += count * seconds

    def collect(self) -> Iterable[Metric]:
        """The histogram as it is now."""
        family = HistogramMetricFamily(
            "tiercast_gateway_delivery_seconds",
            "From the receipt of a signal to its delivery, for each open connection of a tier.",
            labels=["tier"],
        )
        for tier, counts in self._counts.items():
            names = (*(str(float(bound)) for bound in BOUNDS), "+Inf")
            buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
            family.add_metric([tier], buckets, self._sums[tier])
        yield family
