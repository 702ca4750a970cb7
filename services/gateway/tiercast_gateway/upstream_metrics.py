"""What is read off the gateway's ways in, and its way out, when it is asked for."""

from collections.abc import Iterable, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tiercast_gateway.consumers import EventConsumer
from tiercast_gateway.drain import Drain
from tiercast_gateway.refill import SignalRefill
from tiercast_gateway.tier_sync import TierSync
from tiercast_gateway.upstream import Upstream


class UpstreamCollector(Collector):
    """Silence of ingest and of the consumer, logs that lost their end, and whether this replica is leaving."""

    def __init__(
        self,
        upstream: Upstream,
        consumer: EventConsumer,
        drain: Drain,
        *,
        logs: Mapping[str, SignalRefill | TierSync],
    ) -> None:
        self._upstream = upstream
        self._consumer = consumer
        self._drain = drain
        self._logs = logs

    def collect(self) -> Iterable[Metric]:
        """All gauges of this moment."""
        yield _gauge("feed_stale", "1 while ingest is silent and clients are told so.", float(self._upstream.stale))
        yield _gauge("feed_silent_seconds", "Since ingest's last beacon.", self._upstream.silent_seconds)
        yield _gauge(
            "consumer_silent_seconds", "Since the last delivery, probes included.", self._consumer.silent_seconds
        )
        short = CounterMetricFamily(
            "tiercast_gateway_log_restored_short",
            "Times that a log ended before what this replica had of it.",
            labels=["log"],
        )
        for name, log in self._logs.items():
            short.add_metric([name], log.restored_short)
        yield short
        yield _gauge("draining", "1 while this replica sends its clients away.", float(self._drain.draining))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tiercast_gateway_{name}", text, value=value)
