"""One gateway replica: its own code from the queue's dispatch to the socket's `write`, wired as `app` wires it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from pamqp.commands import Basic

from tests.simulation.pipeline.broker import Broker, Queue
from tests.simulation.pipeline.database import SignalDatabase, TierDatabase
from tests.simulation.pipeline.host import Host, Weather
from tiercast_gateway.auth import Identity
from tiercast_gateway.clients import LogPage
from tiercast_gateway.consumers import EventConsumer
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.heartbeat import SWEEP_SECONDS
from tiercast_gateway.hub import Hub
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.refill import SignalRefill
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_gateway.upstream import Upstream
from tiercast_ingest.domain.settlement import Entry
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import (
    SessionRevoked,
    TierChanged,
    TierChangeEntry,
    TierChangePage,
    TierLookup,
)
from tiercast_shared.messaging.broker import OutgoingEvent
from tiercast_shared.messaging.deliveries import Message
from tiercast_shared.messaging.topology import TIERS_EVENTS

CURSORS = CursorCodec("a key for the simulation")
TOKENS_END = 4_000_000_000.0
WATCHDOG_SECONDS = 3.0
"""How long a consumer may be dead before the replica has noticed and made a new queue."""


class Knowledge:
    """What a replica has been told of tiers, by look-ups and by changes in whatever order, kept apart from its own cache."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}

    def told(self, event: TierChanged | SessionRevoked) -> None:
        if isinstance(event, TierChanged):
            self._at_least(event.user_id, event.seq)

    def looked_up(self, lookup: TierLookup) -> None:
        for user, state in lookup.tiers.items():
            self._at_least(user, state.version)

    def _at_least(self, user: str, version: int) -> None:
        self.versions[user] = max(self.versions.get(user, 0), version)


class IngestApi:
    """Ingest's log API, as the replica's client of it."""

    def __init__(self, database: SignalDatabase, host: Host) -> None:
        self._database = database
        self._host = host

    async def after(self, position: int, limit: int = 1000, *, feed: Feed = Feed.ALL) -> LogPage:
        return await self._page(
            lambda: [e for e in self._database.entries[position:] if feed is Feed.ALL or e.standard_seq][:limit]
        )

    async def standard_before(self, position: int, limit: int = 1000) -> LogPage:
        return await self._page(lambda: [e for e in self._database.entries[: position - 1] if e.standard_seq][-limit:])

    async def _page(self, read: Callable[[], Sequence[Entry]]) -> LogPage:
        database = self._database
        await database.ask(self._host)
        entries = [_log_entry(entry) for entry in read() if entry.seq > database.floor]
        page = LogPage(database.epoch, database.head, database.floor, entries)
        await self._host.io()
        return page


class TiersApi:
    """The tiers service's API, likewise."""

    def __init__(self, database: TierDatabase, host: Host, knowledge: Knowledge) -> None:
        self._database = database
        self._host = host
        self._knowledge = knowledge

    async def lookup(self, user_ids: list[str]) -> TierLookup:
        database = self._database
        await database.ask(self._host)
        lookup = TierLookup(epoch=database.epoch, head=database.head, tiers=database.lookup(user_ids))
        await self._host.io()
        self._knowledge.looked_up(lookup)
        return lookup

    async def changes(self, after: int, limit: int = 1000) -> TierChangePage:
        database = self._database
        await database.ask(self._host)
        entries = [
            TierChangeEntry(seq=entry.seq, data=TierChanged.model_validate_json(entry.body))
            for entry in database.entries[after : after + limit]
        ]
        page = TierChangePage(epoch=database.epoch, head=database.head, entries=entries)
        await self._host.io()
        for entry in entries:
            self._knowledge.told(entry.data)
        return page


class Replica:
    """What `Gateway` of `app` builds, with the simulation's network."""

    def __init__(
        self,
        name: str,
        weather: Weather,
        broker: Broker,
        signals: SignalDatabase,
        tier_log: TierDatabase,
        *,
        capacity: int,
        lease: float,
        max_replay: int,
    ) -> None:
        self.host = Host(name, weather)
        self._weather = weather
        self._broker = broker
        self._loop = loop = asyncio.get_running_loop()
        self.knowledge = Knowledge()
        ingest = cast("Any", IngestApi(signals, self.host))
        self.feed = SignalFeed(CURSORS, lambda applied: self.hub.publish(applied), capacity=capacity, clock=loop.time)  # noqa: PLW0108 - made below
        self.hub = Hub(
            self.feed.rings,
            call_soon=loop.call_soon,
            on_overrun=lambda connection: self.sessions.overran(connection),  # noqa: PLW0108 - made below
            writes_per_step=weather.chance.choice((1, 2, 512)),
        )
        self.missed = MissedSignals(ingest, self.feed, CURSORS, max_replay=max_replay)
        self.tiers = TierCache(loop.time, lambda *what: self.sessions.tier_learnt(*what), lease=lease)  # noqa: PLW0108 - made below
        self.tier_sync = TierSync(
            cast("Any", TiersApi(tier_log, self.host, self.knowledge)),
            self.tiers,
            on_unknown=lambda user: self.sessions.tier_unknown(user),  # noqa: PLW0108 - made below
            connected_users=lambda: self.sessions.users,
        )
        self.sessions = Sessions(
            hub=self.hub,
            feed=self.feed,
            tiers=self.tiers,
            missed=self.missed,
            refill_needed=lambda: self.refill.needed(),  # noqa: PLW0108 - made below
            verify=lambda user: Identity(user, loop.time(), TOKENS_END),
            look_up=self.tier_sync.look_up,
            entitlements=DEFAULT_ENTITLEMENTS,
            clock=loop.time,
        )
        self.refill = SignalRefill(ingest, self.feed, on_loaded=self.sessions.feed_loaded, capacity=capacity)
        self.upstream = Upstream(
            self.feed,
            self.refill,
            self.tiers,
            self.tier_sync,
            on_stale=lambda stale: self.sessions.upstream_is(stale=stale),
            clock=loop.time,
        )
        self._consumer = EventConsumer(
            "amqp://simulation", self.upstream, replica=name, on_restart=lambda _reason: None
        )
        self._queue: Queue | None = None
        self.host.start(
            self.refill.run,
            self.tier_sync.run,
            self.upstream.watch,
            self.sessions.backfill.run,
            self._sweep,
            self._consume,
        )

    @property
    def ready(self) -> bool:
        return self.host.alive and not self.host.stopped and self.feed.started and bool(self.tiers.epoch)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sessions.sweep()

    async def _consume(self) -> None:
        """Bind a queue, and another one some time after it has died."""
        while True:
            await self.host.io()
            self._queue = self._broker.bind(self._arrived)
            self.upstream.consuming()
            while self._queue is not None:  # noqa: ASYNC110 - looking now and then is what is simulated
                await asyncio.sleep(self._weather.chance.random() * WATCHDOG_SECONDS)

    def lose_queue(self) -> None:
        """It is deleted, or its connection is gone."""
        if self._queue is not None:
            self._broker.unbind(self._queue)
            self._queue = None

    def _arrived(self, exchange: str, event: OutgoingEvent) -> None:
        if exchange == TIERS_EVENTS and event.type != "beacon":
            self.knowledge.told(TierChanged.model_validate_json(event.body))
        properties = Basic.Properties(headers=dict(event.headers), correlation_id=event.correlation_id)
        message = Message(0, exchange, properties, event.body, asyncio.get_running_loop().time())
        self._consumer._dispatch(event.type, event.headers, message)

    def kill(self) -> None:
        self.lose_queue()
        self.host.kill()


def _log_entry(entry: Entry) -> LogEntry:
    return LogEntry(
        position=entry.seq,
        standard_seq=entry.standard_seq,
        symbol=entry.symbol,
        data=entry.body,
        received_at=entry.received_at,
        committed_at=entry.committed_at,
    )
