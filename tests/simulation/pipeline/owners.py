"""The services that own the logs, in their own code but for the SQL: batching, settling, and publishing under the lease."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from tests.simulation.pipeline.broker import Broker, Outlet
from tests.simulation.pipeline.database import Lease, LogDatabase, SignalDatabase, Source, TierDatabase
from tests.simulation.pipeline.host import Host, Weather
from tiercast_ingest.domain.settlement import Settlement, Stored, Submission
from tiercast_ingest.store import event_of as signal_event_of
from tiercast_ingest.writer import SignalWriter
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent, Publisher
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.messaging.topology import SIGNALS_EVENTS, TIERS_EVENTS
from tiercast_tiers import domain as tiers
from tiercast_tiers.writer import TierLogWriter

SKEW = 2.0
"""Seconds by which clocks of two processes may differ."""


def signal_event(_epoch: str, entry: Any) -> LogEvent:
    return signal_event_of(entry)


def tier_event(epoch: str, entry: tiers.Entry) -> LogEvent:
    return LogEvent(entry.seq, entry.type, entry.body, {}, f"{epoch}-{entry.seq}", "", entry.committed_at)


class Unobserved:
    """The publisher's metrics."""

    def holding(self, held: bool) -> None:
        pass

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        pass


class Owner:
    """A process with a writer and a publisher."""

    exchange: str

    def __init__(self, name: str, weather: Weather, broker: Broker, database: LogDatabase[Any]) -> None:
        self.host = Host(name, weather)
        self._skew = weather.chance.uniform(-SKEW, SKEW)
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self.publisher = Publisher(
            Source(database, self.host),
            cast("Any", Lease(database, self.host)),
            self._open_outlet,
            Unobserved(),
            poll_seconds=lambda: 1.0,
            clock=self.clock,
            monotonic=self._loop.time,
            window=weather.chance.choice((2, 5, 500)),
        )

    def clock(self) -> float:
        return self._loop.time() + self._skew

    def _open_outlet(self) -> AbstractAsyncContextManager[Outlet]:
        return self._broker.outlet(self.host, self.exchange).open()


class Ingest(Owner):
    """Takes submissions."""

    exchange = SIGNALS_EVENTS

    def __init__(self, name: str, weather: Weather, broker: Broker, database: SignalDatabase) -> None:
        super().__init__(name, weather, broker, database)
        commit = _SignalCommits(self, database).commit
        self.writer = BatchWriter[Submission, Stored](
            commit, pace=self.publisher.keep_up, max_batch=weather.chance.choice((2, 500))
        )
        self.host.start(self.writer.run, self.publisher.run)


class _SignalCommits(SignalWriter):
    def __init__(self, owner: Ingest, database: SignalDatabase) -> None:
        super().__init__(cast("Any", database), owner.publisher.offer, clock=owner.clock)
        self._host, self._log = owner.host, database

    async def _commit(self, batch: Sequence[Submission]) -> list[Stored | Exception]:
        log = self._log
        async with log.transaction(self._host) as added:
            known = {key: log.known[key] for submission in batch if (key := submission.key) in log.known}
            settlement = Settlement(log.end, known, self._clock())
            outcomes: list[Stored | Exception] = [settlement.settle(submission) for submission in batch]
            added.extend(settlement.entries)
            epoch = log.epoch
        if settlement.entries:
            self._announce(Head(epoch, settlement.end.seq), [signal_event_of(entry) for entry in settlement.entries])
        return outcomes


class Tiers(Owner):
    """Takes changes of tiers."""

    exchange = TIERS_EVENTS

    def __init__(self, name: str, weather: Weather, broker: Broker, database: TierDatabase) -> None:
        super().__init__(name, weather, broker, database)
        self.writer = BatchWriter[tiers.Change, tiers.Outcome](_TierCommits(self, database).commit)
        self.host.start(self.writer.run, self.publisher.run)


class _TierCommits(TierLogWriter):
    def __init__(self, owner: Tiers, database: TierDatabase) -> None:
        super().__init__(cast("Any", database), self._offer, clock=owner.clock)
        self._host, self._log, self._publisher = owner.host, database, owner.publisher

    def _offer(self, head: Head, events: Iterable[LogEvent]) -> None:
        self._publisher.offer(head, events)

    async def _commit(self, changes: Sequence[tiers.Change]) -> list[tiers.Outcome | Exception]:
        log = self._log
        async with log.transaction(self._host) as added:
            chain = log.entries[-1].chain if log.entries else bytes(32)
            settlement = tiers.Settlement(log.epoch, log.head, chain, log.states(), self._clock())
            outcomes: list[tiers.Outcome | Exception] = [settlement.settle(change) for change in changes]
            added.extend(settlement.entries)
        if added:
            self._announce(Head(settlement.epoch, settlement.seq), [tier_event(settlement.epoch, e) for e in added])
        return outcomes
