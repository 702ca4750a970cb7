"""All metrics of ingest."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tiercast_ingest.domain.reasons import REASONS
from tiercast_shared.contracts.signals import SignalType
from tiercast_shared.eventlog.metrics import HOP_BUCKETS, LogMetrics
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_shared.http_metrics import HttpMetrics

TRANSPORTS = ("http", "amqp")

BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class IngestMetrics:
    """Counters and gauges; `log` observes the publisher, `http` the API."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.log = LogMetrics(registry, "signals")
        self.http = HttpMetrics(registry)
        self._accepted = Counter(
            "tiercast_ingest_signals_accepted",
            "Signals stored by this replica.",
            ["transport", "type"],
            registry=registry,
        )
        self._accepted_by: dict[tuple[str, SignalType], Counter] = {}
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
        self.inbound_consuming = Gauge(
            "tiercast_ingest_inbound_consuming", "1 while this replica consumes signals.inbound.", registry=registry
        )
        self.inbound_restarts = Counter(
            "tiercast_ingest_inbound_restarts",
            "Consumers of signals.inbound that ended and were replaced.",
            registry=registry,
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
            for kind in SignalType:  # looking a child up by its labels costs more than counting
                self._accepted_by[transport, kind] = self._accepted.labels(transport, kind.value)
            for reason in REASONS:
                self._rejected.labels(transport, reason)
        for reason in REASONS:
            self._dead.labels(reason)

    def watch_waiting(self, waiting: Callable[[], float]) -> None:
        """Ask `waiting`, at every scrape, how many submissions wait to be stored."""
        self._watch("waiting_submissions", "Submissions that wait for their transaction.", waiting)

    def watch_inbound(
        self,
        *,
        in_flight: Callable[[], float],
        oldest: Callable[[], float],
        ready: Callable[[], float],
        dead: Callable[[], float],
    ) -> None:
        """Ask these at every scrape: what is taken and not settled, the age of its oldest, and what lies in both queues."""
        self._watch("inbound_in_flight_messages", "Messages taken from the broker and not yet settled.", in_flight)
        self._watch("inbound_oldest_seconds", "For how long the oldest of them has been here.", oldest)
        self._watch("inbound_ready_messages", "Messages in signals.inbound that no consumer has taken.", ready)
        self._watch("dead_letter_messages", "Messages in signals.dead, waiting for a person.", dead)

    def _watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        Gauge(f"tiercast_ingest_{name}", meaning, registry=self._registry).set_function(value)

    def accepted(self, transport: str, kind: SignalType) -> None:
        """A signal was stored."""
        self._accepted_by[transport, kind].inc()

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
