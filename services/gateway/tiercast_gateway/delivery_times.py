"""How long signals take to the users of each tier: what the promise of 500 ms is measured by."""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tiercast_gateway.feed import Applied
from tiercast_gateway.time_histogram import TimeHistogram
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier


class DeliveryTimes(Collector):
    """A histogram by tier, from ingest's receipt of a signal to the end of the round that wrote it.

    A signal counts once for every open connection of a tier that is entitled to it. This is counted at the end of each round,
    from the number of connections: nothing is done per delivery. So a filter by symbol is not looked at, and a connection that
    does not read counts with the others; such connections are counted by `tiercast_gateway_connection_flows`.
    """

    def __init__(self, feeds: Mapping[Tier, Feed]) -> None:
        self._feeds = feeds
        self._histogram = TimeHistogram(
            "tiercast_gateway_delivery_seconds",
            "From the receipt of a signal to its delivery, for each open connection of a tier.",
            "tier",
            feeds,
        )

    def written(self, batch: Iterable[Applied], connections: Mapping[Tier, int], now: float) -> None:
        """A round is over at `now` (Unix seconds), with so many open connections of each tier."""
        present = [(tier, self._feeds[tier], count) for tier, count in connections.items() if count]
        for applied in batch:
            seconds = now - applied.all.entry.received_at
            for tier, feed, count in present:
                if applied.on(feed) is not None:
                    self._histogram.observe(tier, seconds, count)

    def collect(self) -> Iterable[Metric]:
        """The histogram as it is now."""
        return self._histogram.collect()
