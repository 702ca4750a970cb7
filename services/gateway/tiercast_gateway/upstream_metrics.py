"""What is read off the gateway's ways in, and its way out, when it is asked for."""

from collections.abc import Iterable

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tiercast_gateway.consumers import EventConsumer
from tiercast_gateway.drain import Drain
from tiercast_gateway.upstream import Upstream


class UpstreamCollector(Collector):
    """Silence of ingest and of the consumer, and whether this replica is leaving."""

    def __init__(self, upstream: Upstream, consumer: EventConsumer, drain: Drain) -> None:
        self._upstream = upstream
        self._consumer = consumer
        self._drain = drain

    def collect(self) -> Iterable[Metric]:
        """All gauges of this moment."""
        yield _gauge("feed_stale", "1 while ingest is silent and clients are told so.", float(self._upstream.stale))
        yield _gauge("feed_silent_seconds", "Since ingest's last beacon.", self._upstream.silent_seconds)
        yield _gauge(
            "consumer_silent_seconds", "Since the last delivery, probes included.", self._consumer.silent_seconds
        )
        yield _gauge("draining", "1 while this replica sends its clients away.", float(self._drain.draining))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tiercast_gateway_{name}", text, value=value)
