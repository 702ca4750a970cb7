"""Consumes `signals.inbound`: each message is acknowledged when it is committed, or lies with the dead letters.

Whatever ends a consumer (a lost connection, a deleted queue, the broker's consumer time-out), the next one begins soon on a new
connection; what was not acknowledged comes again and is recognised as a duplicate if it was stored.
"""

import asyncio
import time
from collections.abc import Callable

from tiercast_ingest.consumer import Consumer, ConsumerEnded, QueueLengths
from tiercast_ingest.delivery import MessageHandler
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.errors import reasons
from tiercast_shared.messaging.broker import BROKER_ERRORS, connected
from tiercast_shared.messaging.topology import SIGNALS_INBOUND
from tiercast_shared.observability import get_logger

RETRY_SECONDS = 0.5

log = get_logger()


class Inbound:
    """One consumer after another, for as long as it runs."""

    def __init__(
        self,
        url: str,
        handler: MessageHandler,
        metrics: IngestMetrics,
        *,
        prefetch: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._handler = handler
        self._metrics = metrics
        self._prefetch = prefetch
        self._clock = clock
        self._consumer: Consumer | None = None
        self.queues = QueueLengths()
        self._missing = "starting"
        self._missing_since = clock()
        metrics.watch_inbound(
            in_flight=lambda: self._consumer.in_flight if self._consumer else 0,
            oldest=lambda: self._consumer.oldest_seconds if self._consumer else 0,
            ready=lambda: self.queues.inbound,
            dead=lambda: self.queues.dead,
        )

    def problem(self) -> str | None:
        """A readiness check."""
        if self._consumer is not None:
            return None
        return f"not consuming {SIGNALS_INBOUND} for {self._clock() - self._missing_since:.0f} s: {self._missing}"

    async def run(self) -> None:
        """Consume until cancelled; then finish what is in flight."""
        while True:
            try:
                await self._consume()
            except* (ConsumerEnded, *BROKER_ERRORS) as group:
                self._missing = reasons(group)
            log.warning("not consuming, will connect again", queue=SIGNALS_INBOUND, reason=self._missing, once_in=30)
            await asyncio.sleep(RETRY_SECONDS)

    async def _consume(self) -> None:
        async with (
            connected(self._url, name="ingest inbound") as connection,
            Consumer.open(connection, self._handler, self._prefetch, self.queues) as consumer,
        ):
            self._note(consumer)
            log.info("consuming", queue=SIGNALS_INBOUND, prefetch=self._prefetch)
            try:
                await consumer.run()
            finally:
                self._note(None)
                self._metrics.inbound_restarts.inc()

    def _note(self, consumer: Consumer | None) -> None:
        self._consumer = consumer
        self._missing_since = self._clock()
        self._metrics.inbound_consuming.set(consumer is not None)
