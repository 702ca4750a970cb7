"""All metrics of the gateway. Label sets are closed: never a user, a symbol or a connection."""

import time
from collections import Counter as Counting

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tiercast_gateway.connection import Flow, State
from tiercast_gateway.feed import Applied, SignalFeed
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.time_histogram import BOUNDS, TimeHistogram
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged
from tiercast_shared.http_metrics import HttpMetrics

HOPS = ("received_committed", "committed_published", "published_consumed", "consumed_written", "received_written")
RESTART_REASONS = ("silence", "returned", "broker")


class GatewayMetrics:
    """Counters and histograms that the gateway's parts report to; `http` observes the API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.http = HttpMetrics(registry)
        self.signals = Counter(
            "tiercast_gateway_signals",
            "Signals applied, by the smallest feed that carries them.",
            ["feed"],
            registry=registry,
        )
        self.deliveries = Counter("tiercast_gateway_deliveries", "Signals written to sockets.", registry=registry)
        self.rounds = Counter(
            "tiercast_gateway_rounds", "Rounds of the hub: each writes at most once per connection.", registry=registry
        )
        self.hops = TimeHistogram(
            "tiercast_gateway_hop_seconds", "Time a signal takes from one point to the next.", "hop", HOPS
        )
        registry.register(self.hops)
        self.tier_changes = Histogram(
            "tiercast_gateway_tier_change_seconds",
            "From a change of tier to its effect on this replica's connections.",
            buckets=BOUNDS,
            registry=registry,
        )
        self.restarts = Counter(
            "tiercast_gateway_consumer_restarts", "Dead consumers that were replaced.", ["reason"], registry=registry
        )
        self.lookups = Counter(
            "tiercast_gateway_tier_lookups", "Requests to the tiers service.", ["outcome"], registry=registry
        )
        self.looked_up = Counter("tiercast_gateway_tier_users_looked_up", "Users in those requests.", registry=registry)
        # looking a child up by its labels costs more than counting, so each is looked up once
        self._signals = {feed: self.signals.labels(feed) for feed in Feed}
        for reason in RESTART_REASONS:
            self.restarts.labels(reason)
        for outcome in ("ok", "failed"):
            self.lookups.labels(outcome)

    def applied(self, applied: Applied) -> None:
        """A signal entered the rings."""
        entry = applied.all.entry
        self._signals[Feed.ALL if entry.premium else Feed.STANDARD].inc()
        if entry.published_at is not None:
            self.hops.observe("received_committed", entry.committed_at - entry.received_at)
            self.hops.observe("committed_published", entry.published_at - entry.committed_at)
            self.hops.observe("published_consumed", applied.applied_at - entry.published_at)

    def written(self, batch: list[Applied], deliveries: int) -> None:
        """A round is over."""
        now = time.time()
        self.rounds.inc()
        self.deliveries.inc(deliveries)
        for applied in batch:
            if applied.all.entry.published_at is not None:
                self.hops.observe("consumed_written", now - applied.applied_at)
                self.hops.observe("received_written", now - applied.all.entry.received_at)

    def tier_event_applied(self, event: TierChanged | SessionRevoked) -> None:
        """An entry of the tiers log has taken effect."""
        if isinstance(event, TierChanged):
            self.tier_changes.observe(max(0.0, time.time() - event.changed_at))

    def counted(self) -> tuple[float, dict[str, dict[float, float]]]:
        """Signals so far, and by hop how many took at most each bound (seconds)."""
        signals = sum(sample.value for sample in _totals(self.signals))
        return signals, self.hops.counted()

    def looked_up_users(self, users: int, ok: bool) -> None:
        """A look-up was answered, or not."""
        self.lookups.labels("ok" if ok else "failed").inc()
        self.looked_up.inc(users)


class StateCollector(Collector):
    """What is read off the gateway's parts when it is asked for."""

    def __init__(self, sessions: Sessions, feed: SignalFeed, tiers: TierCache) -> None:
        self._sessions = sessions
        self._feed = feed
        self._tiers = tiers

    def collect(self) -> list[Metric]:
        """All gauges of this moment."""
        connections = GaugeMetricFamily("tiercast_gateway_connections", "Open connections.", labels=["tier"])
        for tier in Tier:
            connections.add_metric([tier], self._sessions.by_tier[tier])
        flows = GaugeMetricFamily(
            "tiercast_gateway_connection_flows",
            "Open connections by how signals reach them: live, or behind.",
            labels=["flow"],
        )
        counted = Counting(connection.flow for connection in self._sessions if connection.state is State.OPEN)
        for flow in Flow:
            flows.add_metric([flow.name.lower()], counted[flow])
        rings = GaugeMetricFamily("tiercast_gateway_ring_signals", "Signals in memory.", labels=["feed"])
        for feed, ring in self._feed.rings.items():
            rings.add_metric([feed], len(ring))
        lookups = CounterMetricFamily(
            "tiercast_gateway_tier_cache_lookups", "Questions to the tier cache so far.", labels=["result"]
        )
        lookups.add_metric(["hit"], self._tiers.hits)
        lookups.add_metric(["miss"], self._tiers.misses)
        return [
            connections,
            flows,
            rings,
            lookups,
            _gauge("sockets", "Sockets, open or not yet.", len(self._sessions)),
            _gauge("users", "Users with a connection.", len(self._sessions.users)),
            _gauge("feed_head", "Last position of the signal log applied.", self._feed.head),
            _gauge(
                "feed_missing", "Positions known to exist and not applied.", self._feed.known_head - self._feed.head
            ),
            _gauge("tier_cache_users", "Users in the tier cache.", len(self._tiers)),
            _gauge(
                "tier_log_missing",
                "Changes known to exist and not applied.",
                self._tiers.known_head - self._tiers.applied,
            ),
            _gauge(
                "tier_lease_seconds", "Time for which tiers may still be trusted.", max(0.0, self._tiers.lease_left)
            ),
        ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tiercast_gateway_{name}", text, value=value)


def _totals(metric: Counter) -> list[Sample]:
    return [sample for family in metric.collect() for sample in family.samples if sample.name.endswith("_total")]
