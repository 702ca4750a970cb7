"""What every transport does with a submission: read it, store it, count it, log it."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tiercast_ingest.domain.reasons import UNSTORABLE
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.domain.submission import SubmittedSignal
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.eventlog.database import Unstorable
from tiercast_shared.eventlog.writer import BatchWriter, Done, outcome_of
from tiercast_shared.observability import get_logger

log = get_logger()


class Origin(NamedTuple):
    """Where a submission came from."""

    transport: str
    producer: str
    correlation_id: str
    received_at: float


class Intake:
    """Takes submissions from all transports into the log."""

    def __init__(
        self,
        writer: BatchWriter[Submission, Stored],
        metrics: IngestMetrics,
        *,
        admit: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._metrics = metrics
        self._admit = admit
        self._clock = clock

    def origin(self, transport: str, producer: str, correlation_id: str) -> Origin:
        """A submission that arrives now."""
        return Origin(transport, producer, correlation_id, self._clock())

    async def take(self, origin: Origin, signal: SubmittedSignal) -> Stored:
        """Store a submission; returns when it is committed.

        Raises:
            Rejected: 409 if its producer has used this `signal_id` for another content.
            Unavailable: it cannot be stored now, or its outcome is unknown; repeating is safe.
        """
        return await outcome_of(partial(self.put, origin, signal))

    def put(self, origin: Origin, signal: SubmittedSignal, done: Done[Stored]) -> None:
        """Have a submission stored, without waiting: `done` is told what `take` would return or raise."""
        submission = Submission(origin.producer, signal, origin.correlation_id, origin.received_at)
        try:
            self._admit()
            self._writer.put(submission, lambda outcome: done(self._noted(origin, signal, outcome)))
        except Unavailable as error:
            done(self._noted(origin, signal, error))

    def refuse(self, origin: Origin, error: Rejected) -> None:
        """Count and log a submission that can never be stored."""
        self._metrics.rejected(origin.transport, error.code)
        log.info(
            "signal rejected",
            reason=error.code,
            detail=error.message,
            producer=origin.producer,
            transport=origin.transport,
            correlation_id=origin.correlation_id,
        )

    def _noted(self, origin: Origin, signal: SubmittedSignal, outcome: Stored | Exception) -> Stored | Exception:
        """Count and log what came of a submission."""
        if isinstance(outcome, Stored):
            self._note(origin, signal, outcome)
        elif isinstance(outcome, Unstorable):
            return Rejected(422, UNSTORABLE, f"body: the database refuses it: {outcome}")
        elif isinstance(outcome, Unavailable):
            self._metrics.postponed(origin.transport)
        return outcome

    def _note(self, origin: Origin, signal: SubmittedSignal, stored: Stored) -> None:
        if stored.duplicate:
            self._metrics.duplicate(origin.transport)
        else:
            self._metrics.accepted(origin.transport, stored.kind)
        log.info(
            "signal repeated" if stored.duplicate else "signal accepted",
            seq=stored.seq,
            producer=origin.producer,
            signal_id=signal.content.signal_id,
            symbol=signal.content.symbol,
            transport=origin.transport,
            ms=round((self._clock() - origin.received_at) * 1000, 1),
            correlation_id=origin.correlation_id,
        )
