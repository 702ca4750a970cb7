"""All metrics of ingest."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tiercast_ingest.domain.reasons import REASONS
from tiercast_shared.contracts.signals import SignalType
from tiercast_shared.eventlog.publisher import LogEvent

TRANSPORTS = ("http", "amqp")

HOP_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds; a signal is usually committed, and published, within a few milliseconds."""

BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class IngestMetrics:
    """Counters and gauges; also the publisher's observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._accepted = Counter(
            "tiercast_ingest_signals_accepted",
            "Signals stored by this replica.",
            ["transport", "type"],
            registry=registry,
        )
        self._duplicates = Counter(
            "tiercast_ingest_signals_duplicates",
            "Submissions that were in the log already.",
            ["transport"],
            registry=registry,
        )
        self._rejected = Counter(
            "tiercast_ingest_signals_rejected",
            "Submissions that can never be stored.",
            ["transport", "reason"],
            registry=registry,
        )
        self._postponed = Counter(
            "tiercast_ingest_signals_postponed",
            "Submissions that could not be stored at once.",
            ["transport"],
            registry=registry,
        )
        self._dead = Counter(
            "tiercast_ingest_messages_dead_lettered", "Messages moved to signals.dead.", ["reason"], registry=registry
        )
        self._batch = Histogram(
            "tiercast_ingest_batch_size", "New signals in one commit.", registry=registry, buckets=BATCH_BUCKETS
        )
        self._commit_hop = Histogram(
            "tiercast_ingest_received_to_committed_seconds",
            "From the receipt of a signal to its commit.",
            registry=registry,
            buckets=HOP_BUCKETS,
        )
        self._publish_hop = Histogram(
            "tiercast_ingest_committed_to_published_seconds",
            "From the commit of a signal to its publication.",
            registry=registry,
            buckets=HOP_BUCKETS,
        )
        self.backlog = Gauge(
            "tiercast_ingest_publisher_backlog", "Signals committed and not yet published.", registry=registry
        )
        self._holder = Gauge(
            "tiercast_ingest_publisher_holder", "1 while this replica is the one that publishes.", registry=registry
        )
        self.inbound_consuming = Gauge(
            "tiercast_ingest_inbound_consuming", "1 while this replica consumes signals.inbound.", registry=registry
        )
        self.statements = Counter(
            "tiercast_ingest_sql_statements",
            "Statements sent to the database, without those that begin and end transactions.",
            registry=registry,
        )
        self._initialise()

    def _initialise(self) -> None:
        for transport in TRANSPORTS:
            self._duplicates.labels(transport)
            self._postponed.labels(transport)
            for kind in SignalType:
                self._accepted.labels(transport, kind.value)
            for reason in REASONS:
                self._rejected.labels(transport, reason)
        for reason in REASONS:
            self._dead.labels(reason)

    def watch_waiting(self, waiting: Callable[[], float]) -> None:
        """Ask `waiting`, at every scrape, how many submissions wait to be stored."""
        self._watch("waiting_submissions", "Submissions that wait for their transaction.", waiting)

    def watch_in_flight(self, in_flight: Callable[[], float]) -> None:
        """Ask `in_flight`, at every scrape, how many messages are taken and not settled."""
        self._watch("inbound_in_flight", "Messages taken from the broker and not yet settled.", in_flight)

    def _watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(f"tiercast_ingest_{name}", meaning, registry=self._registry).set_function(value)

    def accepted(self, transport: str, kind: SignalType) -> None:
        """A signal was stored."""
        self._accepted.labels(transport, kind.value).inc()

    def duplicate(self, transport: str) -> None:
        """A submission was in the log already."""
        self._duplicates.labels(transport).inc()

    def rejected(self, transport: str, reason: str) -> None:
        """A submission can never be stored; `reason` is one of `REASONS`."""
        self._rejected.labels(transport, reason).inc()

    def postponed(self, transport: str) -> None:
        """The store was away for a submission."""
        self._postponed.labels(transport).inc()

    def dead_lettered(self, reason: str) -> None:
        """A message was moved to `signals.dead`."""
        self._dead.labels(reason).inc()

    def committed(self, events: Sequence[LogEvent]) -> None:
        """A transaction added these."""
        self._batch.observe(len(events))
        for event in events:
            self._commit_hop.observe(max(0.0, event.committed_at - float(event.headers["received_at"])))

    def holding(self, held: bool) -> None:
        """The publisher's lease was won or lost."""
        self._holder.set(held)

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        """Events were confirmed by the broker; `at` is when they were sent, Unix seconds."""
        for event in events:
            self._publish_hop.observe(max(0.0, at - event.committed_at))
