"""All metrics of the tiers service."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.publisher import LogEvent

HOP_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds; a change is usually published within a few milliseconds of its commit."""


class TiersMetrics:
    """Counters and gauges; also the publisher's observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._changes = Counter(
            "tiercast_tiers_changes", "Changes of tier committed by this replica.", ["tier"], registry=registry
        )
        self.revocations = Counter(
            "tiercast_tiers_revocations", "Session revocations committed by this replica.", registry=registry
        )
        self.lookups = Counter("tiercast_tiers_lookups", "Batch lookups answered.", registry=registry)
        self.users_looked_up = Counter(
            "tiercast_tiers_users_looked_up", "Users asked for in batch lookups.", registry=registry
        )
        self._errors = Counter(
            "tiercast_tiers_request_errors", "Requests answered with an error.", ["status_class"], registry=registry
        )
        self.backlog = Gauge(
            "tiercast_tiers_publisher_backlog", "Entries committed and not yet published.", registry=registry
        )
        self._holder = Gauge(
            "tiercast_tiers_publisher_holder", "1 while this replica is the one that publishes.", registry=registry
        )
        self._hop = Histogram(
            "tiercast_tiers_commit_to_publish_seconds",
            "From the commit of a change to its publication.",
            registry=registry,
            buckets=HOP_BUCKETS,
        )
        self.statements = Counter(
            "tiercast_tiers_sql_statements",
            "Statements sent to the database, without those that begin and end transactions.",
            registry=registry,
        )
        for tier in Tier:
            self._changes.labels(tier.value)
        for status_class in ("4xx", "5xx"):
            self._errors.labels(status_class)

    def changed(self, tier: Tier) -> None:
        """A user was given `tier`."""
        self._changes.labels(tier.value).inc()

    def answered(self, status: int) -> None:
        """A request was answered with `status`."""
        if status >= 400:
            self._errors.labels(f"{status // 100}xx").inc()

    def holding(self, held: bool) -> None:
        """The publisher's lease was won or lost."""
        self._holder.set(held)

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        """Events were confirmed by the broker; `at` is when they were sent, Unix seconds."""
        for event in events:
            self._hop.observe(max(0.0, at - event.committed_at))
