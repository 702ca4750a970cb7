"""All metrics of the tiers service."""

from prometheus_client import CollectorRegistry, Counter

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.metrics import LogMetrics
from tiercast_shared.http_metrics import HttpMetrics


class TiersMetrics:
    """Counters; `log` observes the publisher, `http` the API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.log = LogMetrics(registry, "tiers")
        self.http = HttpMetrics(registry)
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
        self.statements = Counter(
            "tiercast_tiers_sql_statements",
            "Statements sent to the database, without those that begin and end transactions.",
            registry=registry,
        )
        for tier in Tier:
            self._changes.labels(tier.value)

    def changed(self, tier: Tier) -> None:
        """A user was given `tier`."""
        self._changes.labels(tier.value).inc()
