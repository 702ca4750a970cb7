"""The hub among random clients, with a model that knows what each of them must have been sent."""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.unit.gateway.doubles import FakeWire
from tiercast_gateway.audience import Symbols
from tiercast_gateway.connection import Connection, Flow
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.feed import Applied, SignalFeed
from tiercast_gateway.hub import CATCH_UP_ITEMS, Hub
from tiercast_gateway.ring import LogEntry
from tiercast_shared.contracts.signals import Feed

SYMBOLS = ("A", "B", "C")
FILTERS: tuple[Symbols | None, ...] = (
    None,
    frozenset({"A"}),
    frozenset({"B", "C"}),
    frozenset({"A", "B"}),
    frozenset(),
)
POSITION = re.compile(rb'"data":(\d+)\}')
SENT = re.compile(rb'"cursor":"([^"]+)"[^}]*"data":(\d+)\}')
SMALL_RING = 12
"""Overrun often."""
LARGE_RING = 3 * CATCH_UP_ITEMS
"""Takes several turns to catch up from."""


@dataclass
class Client:
    """One connection, and what the model knows of it."""

    connection: Connection
    wire: FakeWire
    feed: Feed
    symbols: Symbols | None
    since: int
    """It must have been sent everything after this position that `feed` and `symbols` let through."""
    frozen: str | None = None
    gone: bool = False
    judged: int = 0
    """Bytes of what it was sent that belong to stretches already checked."""
    overruns: int = 0
    sends_before: int = 0
    disturbed: bool = True
    """Whether it came, went, changed or was paused since the present round began, so that it may be written to more than once."""


@dataclass
class HubWorld:
    """The test's steps are its methods; each leaves everything checked that can be checked."""

    writes_per_step: int = 2
    capacity: int = SMALL_RING
    entries: list[LogEntry] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    turns: deque[Callable[[], None]] = field(default_factory=deque)
    rounds: int = 0

    def __post_init__(self) -> None:
        self.cursors = CursorCodec("k")
        self.feed = SignalFeed(self.cursors, lambda applied: self.hub.publish(applied), capacity=self.capacity)  # noqa: PLW0108
        self.hub = Hub(
            self.feed.rings,
            call_soon=self.turns.append,
            on_round=self._round_over,
            on_overrun=self._overran,
            writes_per_step=self.writes_per_step,
        )
        self.feed.begin("e", 0, [])
        self.hub.begin(0)
        self._standard = 0

    # -- steps -----------------------------------------------------------------------------------

    def publish(self, premium: bool, symbol: str) -> None:
        position = len(self.entries) + 1
        self._standard += not premium
        seq = None if premium else self._standard
        entry = LogEntry(position, seq, symbol, b"%d" % position, 0.0, 0.0)
        self.entries.append(entry)
        self.feed.offer(entry)

    def attach(self, feed: Feed, symbols: Symbols | None, back: int, room: int | None) -> None:
        """A client comes, live (`back` < 0) or resuming `back` positions behind the feed's end."""
        wire = FakeWire(room)
        connection = Connection("c", wire, symbols=symbols)
        connection.feed = feed
        position = self.hub.head if back < 0 else max(self.feed.rings[feed].floor, self.feed.head - back)
        client = Client(connection, wire, feed, symbols, position)
        self.clients.append(client)
        wire.on_congested = lambda: self._disturb(client, self.hub.pause)
        wire.on_drained = lambda: self._disturb(client, self.hub.resume)
        self.hub.attach(connection, position)

    def detach(self, client: Client) -> None:
        self.hub.detach(client.connection)
        client.gone = True
        self.judge(client)

    def reattach(self, client: Client) -> None:
        """It leaves the hub and comes back at its position, in one step, as a resync does."""
        self._disturb(client, self.hub.detach)
        self.judge(client)
        self.hub.attach(client.connection, client.since)

    def change(self, client: Client, feed: Feed, symbols: Symbols | None) -> None:
        """What it was sent until now is judged by what it had until now, and what comes by what it has then."""
        client.disturbed = True
        self.judge(client)
        client.feed, client.symbols = feed, symbols
        self.hub.change(client.connection, feed=feed, symbols=symbols)

    def freeze(self, client: Client, cursor: str | None) -> None:
        """All its frames have this cursor from now on."""
        client.disturbed = True
        self.judge(client)
        client.frozen = cursor
        self.hub.freeze(client.connection, cursor)

    def clog(self, client: Client, room: int) -> None:
        """Its socket takes `room` bytes more."""
        client.wire.room = room

    def drain(self, client: Client, room: int | None) -> None:
        client.wire.drain(room)

    def turn(self) -> None:
        if self.turns:
            self.turns.popleft()()

    def settle(self) -> None:
        """Everything drains, and the loop turns until it is at rest."""
        for client in self.present:
            client.wire.drain()
        for _ in range(50 + 20 * len(self.clients) * (len(self.entries) + 1)):
            if not self.turns:
                break
            self.turn()
        assert not self.turns, "the hub does not come to rest"
        self.check_indexes()
        for client in self.present:
            assert client.connection.flow is Flow.LIVE, "all who drained are live"
            assert self.hub.position_of(client.connection) == len(self.entries)
            self.judge(client)

    # -- the model -------------------------------------------------------------------------------

    @property
    def present(self) -> list[Client]:
        return [client for client in self.clients if not client.gone]

    def judge(self, client: Client) -> None:
        """It was sent exactly what its feed and filter let through between `since` and where the hub says it is."""
        connection, stream = client.connection, bytes(client.wire.sent + client.wire.waiting)
        upto = self.hub.position_of(connection)
        found = SENT.findall(stream, client.judged)
        sent = [int(number) for _, number in found]
        for cursor, position in found:
            assert cursor.decode() == (client.frozen or self.cursors.seal("e", int(position)))
        due = [
            entry.position
            for entry in self.entries[client.since : upto]
            if (client.feed is Feed.ALL or not entry.premium)
            and (client.symbols is None or entry.symbol in client.symbols)
        ]
        assert sent == due, f"{client.feed} {client.symbols} after {client.since} up to {upto}"
        client.since, client.judged = max(client.since, upto), len(stream)

    def check_indexes(self) -> None:
        """Every audience has members, each of them live in it, and is found under exactly its symbols."""
        audiences = list(self.hub._audiences.values())
        for key, audience in self.hub._audiences.items():
            assert (audience.feed, audience.symbols, audience.frozen) == key
            assert audience.members, "an audience without members"
            due = audience.share._due if audience.share is not None else None
            assert (due or set()) <= audience.members.keys(), "somebody due who is no member"
        live = [client for client in self.present if client.connection.flow is Flow.LIVE]
        for client in live:
            audience = self.hub._audiences[client.feed, client.symbols, client.frozen]
            assert client.connection.audience is audience
            assert client.connection in audience.members
        assert sum(len(audience.members) for audience in audiences) == len(live) == self.hub.live
        indexed = {(*key, id(audience)) for key, found in self.hub._by_symbol.items() for audience in found}
        assert indexed == {(a.feed, symbol, id(a)) for a in audiences for symbol in a.symbols or ()}
        assert all(self.hub._by_symbol.values()), "a symbol without audiences"
        unfiltered = {(feed, id(audience)) for feed, found in self.hub._unfiltered.items() for audience in found}
        assert unfiltered == {(a.feed, id(a)) for a in audiences if a.symbols is None}
        behind = [client.connection for client in self.present if client.connection.flow is Flow.CATCHING_UP]
        assert set(self.hub._catching_up) == set(behind)
        assert not self.hub._shares or self.turns, "a round that nobody goes on with"

    def _round_over(self, _batch: Sequence[Applied], _deliveries: int) -> None:
        self.rounds += 1
        for client in self.present:
            sends = client.wire.sends - client.sends_before
            assert client.disturbed or sends <= 1, f"{sends} writes to one connection in one round"
            client.sends_before = client.wire.sends
            client.disturbed = client.connection.flow is not Flow.LIVE

    def _overran(self, connection: Connection) -> bool:
        client = next(client for client in self.clients if client.connection is connection)
        ring = self.feed.rings[client.feed]
        lost = [
            entry.position
            for entry in self.entries[client.since : ring.floor]
            if client.feed is Feed.ALL or not entry.premium
        ]
        assert lost, "told of an overrun, and nothing was lost"
        sent = POSITION.findall(bytes(client.wire.sent + client.wire.waiting), client.judged)
        assert all(int(number) <= ring.floor for number in sent)
        client.overruns += 1
        client.disturbed = True
        client.since, client.judged = self.hub.head, len(client.wire.sent + client.wire.waiting)
        return True

    def _disturb(self, client: Client, act: Callable[[Connection], None]) -> None:
        client.disturbed = True
        act(client.connection)
