"""All metrics of the tiers service."""

from prometheus_client import CollectorRegistry, Counter

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.metrics import LogMetrics
from tiercast_shared.http_metrics import HttpMetrics

BILLING_OUTCOMES = ("applied", "duplicate", "ignored")


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
        self._billing = Counter(
            "tiercast_tiers_billing_events", "Signed events of the payment provider.", ["outcome"], registry=registry
        )
        for outcome in BILLING_OUTCOMES:
            self._billing.labels(outcome)
        for tier in Tier:
            self._changes.labels(tier.value)

    def changed(self, tier: Tier) -> None:
        """A user was given `tier`."""
        self._changes.labels(tier.value).inc()

    def billing_event(self, outcome: str) -> None:
        """An event of the payment provider was answered; `outcome` is one of `BILLING_OUTCOMES`."""
        self._billing.labels(outcome).inc()
