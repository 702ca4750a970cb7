"""What every service tells about itself: its version, its process, and whether it can do its job."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from tiercast_shared.health import ReadinessChecks


def register_runtime(registry: CollectorRegistry, service: str, version: str) -> None:
    """Add build information, and the usual metrics of processes (`process_*`) and of Python (`python_*`)."""
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    info = Gauge("tiercast_build_info", "Version of the running code.", ["service", "version"], registry=registry)
    info.labels(service, version).set(1)


class ReadinessCollector(Collector):
    """The checks behind `/readyz`, asked at every scrape."""

    def __init__(self, checks: ReadinessChecks) -> None:
        self._checks = checks

    def collect(self) -> Iterable[Metric]:
        """One series per check, 0 while it says what is missing."""
        ready = GaugeMetricFamily("tiercast_ready", "1 while this check of /readyz passes.", labels=["check"])
        missing = self._checks.result().missing
        for name in self._checks.names:
            ready.add_metric([name], float(name not in missing))
        yield ready
