"""Metrics of one log and its publisher, the same for every service that owns one."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tiercast_shared.eventlog.publication import Publication
from tiercast_shared.eventlog.publisher import LogEvent

HOP_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds; an entry is usually committed, and published, within a few milliseconds."""


class LogMetrics:
    """How far a log is written and published; the publisher's observer.

    `log` names it ("signals", "tiers"). Head, backlog and lag are the database's, so all replicas tell the same.
    """

    def __init__(self, registry: CollectorRegistry, log: str) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"tiercast_log_{name}", text, ["log"], registry=registry).labels(log)

        self._head = gauge("head", "Last position of the log.")
        self._unpublished = gauge("unpublished_entries", "Entries committed and not yet published.")
        self._lag = gauge("lag_seconds", "For how long the oldest entry that is not published has been waiting.")
        self._holder = gauge("publisher_holder", "1 while this replica is the one that publishes.")
        self._held = gauge(
            "publisher_held", "1 while any replica holds the lease to publish, as the database knows it."
        )
        self._published: Counter = Counter(
            "tiercast_log_published_entries", "Entries confirmed by the broker.", ["log"], registry=registry
        ).labels(log)
        self._publish_seconds: Histogram = Histogram(
            "tiercast_log_publish_seconds",
            "From the commit of an entry to its publication.",
            ["log"],
            buckets=HOP_BUCKETS,
            registry=registry,
        ).labels(log)

    def looked(self, publication: Publication, lag_seconds: float) -> None:
        """The database said how far the log is published."""
        self._head.set(publication.head)
        self._unpublished.set(publication.head - publication.published)
        self._lag.set(lag_seconds)
        self._held.set(publication.holder is not None)

    def holding(self, held: bool) -> None:
        """The publisher's lease was won or lost."""
        self._holder.set(held)

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        """Events were confirmed by the broker; `at` is when they were sent, Unix seconds."""
        self._published.inc(len(events))
        for event in events:
            self._publish_seconds.observe(max(0.0, at - event.committed_at))
