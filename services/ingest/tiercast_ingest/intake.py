"""What every transport does with a submission: read it, store it, count it, log it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tiercast_ingest.domain.reasons import UNSTORABLE
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.domain.submission import SubmittedSignal
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.eventlog.database import Unstorable
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.observability import get_logger

log = get_logger()


@dataclass(frozen=True, slots=True)
class Origin:
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
        try:
            self._admit()
            stored = await self._writer.submit(
                Submission(origin.producer, signal, origin.correlation_id, origin.received_at)
            )
        except Unstorable as error:
            raise Rejected(422, UNSTORABLE, f"body: the database refuses it: {error}") from error
        except Unavailable:
            self._metrics.postponed(origin.transport)
            raise
        self._note(origin, signal, stored)
        return stored

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
