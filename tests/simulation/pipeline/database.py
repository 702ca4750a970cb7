"""The owners' databases: logs, heads, leases, and transactions that fail before or after their commit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import orjson

from tests.simulation.pipeline.host import Host, Weather
from tiercast_ingest.domain import settlement as signals
from tiercast_shared.contracts.tiers import TierState
from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_shared.eventlog.database import ConnectionLost
from tiercast_shared.eventlog.lease import LEASE_SECONDS, LeaseLost
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_tiers import domain as tiers


class Row(Protocol):
    """What entries of both logs have."""

    @property
    def seq(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def chain(self) -> bytes: ...
    @property
    def committed_at(self) -> float: ...


Entry = TypeVar("Entry", bound=Row)


class LogDatabase(Generic[Entry]):
    """One log and its publisher's row. What is written is visible all at once, or not at all."""

    def __init__(self, epoch: str, weather: Weather, event_of: Callable[[str, Entry], LogEvent]) -> None:
        self.epoch = epoch
        self.entries: list[Entry] = []
        self.floor = 0
        self.weather = weather
        self.away = False
        self.holder: str | None = None
        self.until = 0.0
        self.cursor = 0
        self._event_of = event_of
        self._head_lock = asyncio.Lock()

    @property
    def head(self) -> int:
        return len(self.entries)

    @asynccontextmanager
    async def transaction(self, host: Host) -> AsyncIterator[list[Entry]]:
        """Holds the head's lock; what is put into the list is committed at the end, unless the host dies before."""
        await self.ask(host)
        added: list[Entry] = []
        async with self._head_lock:
            yield added
            await host.io()
            lost = self.weather.happens(self.weather.refused / 2)
            if lost and self.weather.chance.random() < 0.5:
                raise ConnectionLost("before the commit")
            self.entries += added
            self.committed(added)
            if lost:
                raise ConnectionLost("after the commit")
        await host.io()

    def committed(self, added: Sequence[Entry]) -> None:
        """What else the transaction has changed."""

    async def ask(self, host: Host) -> None:
        """A statement's way there."""
        await host.io()
        if self.away or self.weather.happens(self.weather.refused / 2):
            raise StorageUnavailable("the database is away")

    # -- as the publisher reads it ----------------------------------------------------------------

    async def events_after(self, host: Host, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        await self.ask(host)
        head = Head(self.epoch, self.head)
        events = [self._event_of(self.epoch, entry) for entry in self.entries[seq : seq + limit]]
        await host.io()
        return head, events


class SignalDatabase(LogDatabase[signals.Entry]):
    def __init__(self, weather: Weather, event_of: Callable[[str, signals.Entry], LogEvent]) -> None:
        super().__init__("signals-1", weather, event_of)
        self.known: dict[signals.Key, signals.Known] = {}
        self.by_id: dict[str, signals.Entry] = {}

    def committed(self, added: Sequence[signals.Entry]) -> None:
        for entry in added:
            self.known[entry.producer, entry.signal_id] = signals.Known(entry.id, entry.fingerprint, entry.seq)
            self.by_id[entry.id] = entry

    @property
    def end(self) -> signals.LogEnd:
        if not self.entries:
            return signals.LogEnd(0, GENESIS, 0, GENESIS, 0.0)
        last = self.entries[-1]
        standard = next((entry for entry in reversed(self.entries) if entry.standard_seq is not None), None)
        return signals.LogEnd(
            last.seq,
            last.chain,
            (standard.standard_seq or 0) if standard else 0,
            (standard.standard_chain or GENESIS) if standard else GENESIS,
            orjson.loads(last.body)["server_timestamp"],
        )


class TierDatabase(LogDatabase[tiers.Entry]):
    def __init__(self, weather: Weather, event_of: Callable[[str, tiers.Entry], LogEvent]) -> None:
        super().__init__("tiers-1", weather, event_of)

    def states(self, upto: int | None = None) -> dict[str, tiers.UserState]:
        """All users who have ever changed, as they were at a position."""
        return {
            entry.user_id: tiers.UserState(entry.tier, entry.seq, entry.committed_at)
            for entry in self.entries[:upto]
            if entry.tier is not None
        }

    def lookup(self, users: Sequence[str]) -> dict[str, TierState]:
        states = self.states()
        found = {user: states.get(user, tiers.UserState()) for user in users}
        return {user: TierState(tier=state.tier, version=state.version) for user, state in found.items()}


@dataclass
class Lease:
    """The lease statement of `PublisherLease`, by this database's clock."""

    database: LogDatabase[Any]
    host: Host

    @property
    def holder(self) -> str:
        return self.host.name

    async def take(self) -> int | None:
        row = self.database
        await row.ask(self.host)
        now = asyncio.get_running_loop().time()
        if row.holder != self.holder and row.until >= now:
            return None
        row.holder, row.until, cursor = self.holder, now + LEASE_SECONDS, row.cursor
        await self.host.io()
        return cursor

    async def save(self, published: int, before: int) -> None:
        row = self.database
        await row.ask(self.host)
        if row.holder != self.holder or row.cursor not in {before, published}:
            raise LeaseLost("the lease is another's, or the cursor was moved")
        row.cursor = published
        await self.host.io()

    async def release(self) -> None:
        row = self.database
        await row.ask(self.host)
        if row.holder == self.holder:
            row.holder, row.until = None, 0.0


@dataclass
class Source:
    """The log as one process reads it."""

    database: LogDatabase[Any]
    host: Host

    async def head(self) -> Head:
        await self.database.ask(self.host)
        return Head(self.database.epoch, self.database.head)

    async def events_after(self, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        return await self.database.events_after(self.host, seq, limit)
