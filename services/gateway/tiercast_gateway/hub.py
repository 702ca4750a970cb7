"""Who is sent what. Pure: it writes through the connections and is told when to go on.

A connection is a cursor into a shared ring. While it is *live* it has no position of its own: every round of the hub takes all
signals that have arrived, joins their frames once per audience, and writes once per connection. A connection whose transport is
full leaves the live set and keeps only its position; when it drains it is caught up from the ring, under the entitlement of that
moment, and is live again when it has reached the hub's head.
"""

from collections import defaultdict, deque
from collections.abc import Callable

from tiercast_gateway.audience import Audience, Share, Symbols, Writer, send_to_each
from tiercast_gateway.connection import Connection, Flow
from tiercast_gateway.feed import Applied
from tiercast_gateway.frames import signal_frame
from tiercast_gateway.late import missed_as, missed_frame, wanted
from tiercast_gateway.ring import Ring, RingItem
from tiercast_shared.contracts.signals import Feed

WRITES_PER_STEP = 512
"""Writes between two turns of the event loop, so that accepts and consumers are not starved (about 3 ms)."""

CATCH_UP_ITEMS = 128
"""Signals that one catching-up connection is sent per turn (about 70 kB)."""


class Hub:
    """Fans signals out to connections."""

    def __init__(
        self,
        rings: dict[Feed, Ring],
        *,
        call_soon: Callable[[Callable[[], None]], object],
        on_round: Callable[[list[Applied], int], None] = lambda _batch, _deliveries: None,
        on_overrun: Callable[[Connection], bool] = lambda _connection: True,
        writes_per_step: int = WRITES_PER_STEP,
    ) -> None:
        self._rings = rings
        self._call_soon = call_soon
        self._on_round = on_round
        self._on_overrun = on_overrun
        self._writes_per_step = writes_per_step
        self._audiences: dict[tuple[Feed, Symbols | None, str | None], Audience] = {}
        self._unfiltered: dict[Feed, dict[Audience, None]] = {feed: {} for feed in Feed}
        self._by_symbol: dict[tuple[Feed, str], dict[Audience, None]] = defaultdict(dict)
        self._pending: list[Applied] = []
        self._catching_up: dict[Connection, None] = {}
        self._ahead: dict[Connection, None] = {}
        self._scheduled = False
        self.head = 0
        """Every signal up to this log position belongs to a round that has begun."""
        self._round_start = 0
        self._round_batch: list[Applied] = []
        self._round_deliveries = 0
        self._shares: deque[Share] = deque()
        self._missed: tuple[object, bytes] = (None, b"")
        """What a connection has missed last, and who has missed the same: a crowd that comes back together."""

    @property
    def live(self) -> int:
        """Connections that get every round as it happens."""
        return sum(len(audience.members) for audience in self._audiences.values())

    @property
    def behind(self) -> int:
        """Connections that are being caught up."""
        return len(self._catching_up)

    @property
    def ahead(self) -> list[Connection]:
        """Connections that this replica has not caught up with yet."""
        return list(self._ahead)

    # -- what arrives ----------------------------------------------------------------------------

    def begin(self, head: int) -> None:
        """Start, or start anew, at log position `head`; every connection is moved there."""
        self._pending.clear()
        for share in self._shares:
            share.audience.share = None
        self._shares.clear()
        self._round_batch = []
        self._missed = (None, b"")
        self.head = self._round_start = head

    def publish(self, applied: Applied) -> None:
        """A signal entered the rings; it goes out with all that arrive before the loop's next turn."""
        self._pending.append(applied)
        self._schedule()

    # -- who is there ----------------------------------------------------------------------------

    def attach(self, connection: Connection, position: int) -> None:
        """Send `connection` everything after `position` that its feed and filter let it see, then be live."""
        connection.position = position
        self._catch_up_or_join(connection)

    def detach(self, connection: Connection) -> None:
        """Send it nothing more. It keeps its position."""
        if connection.flow is Flow.LIVE:
            self._leave(connection)
        elif connection.flow is Flow.CATCHING_UP:
            del self._catching_up[connection]
        elif connection.flow is Flow.AHEAD:
            del self._ahead[connection]
        connection.flow = Flow.DETACHED

    def position_of(self, connection: Connection) -> int:
        """The log position up to which `connection` has been sent what it may see."""
        if connection.flow is not Flow.LIVE:
            return connection.position
        share = connection.audience.share if connection.audience is not None else None
        return self._round_start if share is not None and share.is_due(connection) else self.head

    def change(self, connection: Connection, *, feed: Feed, symbols: Symbols | None) -> None:
        """Give `connection` another feed or filter from its present position on, in this very step."""
        flow = connection.flow
        if flow is Flow.LIVE:
            self._leave(connection)
        connection.feed, connection.symbols = feed, symbols
        if flow is Flow.LIVE:
            self._catch_up_or_join(connection)

    def freeze(self, connection: Connection, cursor: str | None) -> None:
        """Give all its frames this cursor from its present position on; None: each signal its own again."""
        if cursor == connection.frozen:
            return
        flow = connection.flow
        if flow is Flow.LIVE:
            self._leave(connection)
        connection.frozen = cursor
        if flow is Flow.LIVE:
            self._catch_up_or_join(connection)

    def pause(self, connection: Connection) -> None:
        """Its transport is full: it keeps its position and is written no more."""
        if connection.flow in {Flow.LIVE, Flow.CATCHING_UP}:
            self.detach(connection)
            connection.flow = Flow.PAUSED

    def resume(self, connection: Connection) -> None:
        """Its transport has drained."""
        if connection.flow is Flow.PAUSED:
            self._catch_up_or_join(connection)

    def _catch_up_or_join(self, connection: Connection) -> None:
        if connection.wire.congested:
            connection.flow = Flow.PAUSED
            return
        at = connection.position
        if at > self.head:
            connection.flow = Flow.AHEAD
            self._ahead[connection] = None
            return
        ring = self._rings[connection.feed]
        if ring.floor <= at and not ring.after(at, self.head, 1):
            self._join(connection)
            return
        connection.flow = Flow.CATCHING_UP
        self._catching_up[connection] = None
        self._schedule()

    def _join(self, connection: Connection) -> None:
        key = (connection.feed, connection.symbols, connection.frozen)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(*key)
            if connection.symbols is None:
                self._unfiltered[connection.feed][audience] = None
            for symbol in connection.symbols or ():
                self._by_symbol[connection.feed, symbol][audience] = None
        audience.join(connection)
        connection.audience = audience  # and it is not due: it has all of the present round
        connection.flow = Flow.LIVE

    def _leave(self, connection: Connection) -> None:
        connection.position = self.position_of(connection)
        audience = connection.audience
        connection.audience = None
        connection.flow = Flow.DETACHED
        if audience is None:
            return
        audience.leave(connection)
        if audience.share is not None:
            audience.share.leave(connection)
        if not audience.members:
            del self._audiences[audience.feed, audience.symbols, audience.frozen]
            self._unfiltered[audience.feed].pop(audience, None)
            for symbol in audience.symbols or ():
                index = self._by_symbol[audience.feed, symbol]
                del index[audience]
                if not index:
                    del self._by_symbol[audience.feed, symbol]

    # -- the loop's turns ------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self._shares and self._pending:
            self._begin_round()
        if self._shares:
            self._write_some()
        self._catch_some_up()
        if self._shares or self._pending or self._catching_up:
            self._schedule()

    def _begin_round(self) -> None:
        batch, self._pending = self._pending, []
        self._round_start, self.head = self.head, batch[-1].all.entry.position
        self._round_batch, self._round_deliveries = batch, 0
        for feed in Feed:
            self._share_out(feed, [item for applied in batch if (item := applied.on(feed)) is not None])
        for connection in [c for c in self._ahead if c.position <= self.head]:
            self.detach(connection)
            self._catch_up_or_join(connection)  # after the sharing out: what is below its position it has had
        if not self._shares:
            self._end_round()

    def _share_out(self, feed: Feed, items: list[RingItem]) -> None:
        frames: dict[Audience, list[bytes]] = defaultdict(list)
        unfiltered = self._unfiltered[feed]
        for item in items:
            made: dict[str, bytes] = {}
            for audience in (*unfiltered, *self._by_symbol.get((feed, item.entry.symbol), ())):
                cursor = audience.frozen or item.cursor
                if cursor not in made:
                    made[cursor] = signal_frame(item.seq, cursor, item.entry.data)
                frames[audience].append(made[cursor])
        for audience, parts in frames.items():
            audience.share = Share(audience, b"".join(parts), len(parts))
            self._shares.append(audience.share)

    def _write_some(self) -> None:
        budget = self._writes_per_step
        while self._shares and budget > 0:
            share = self._shares[0]
            members, writers = share.take(budget)
            budget -= len(members)
            if share.done:
                self._shares.popleft()
                share.audience.share = None
            self._write(share, members, writers)
        if not self._shares:
            self._end_round()

    def _write(self, share: Share, members: list[Connection], writers: list[Writer]) -> None:
        payload = share.payload
        taken = send_to_each(writers, payload)
        self._round_deliveries += len(taken) * share.signals
        if taken.count(len(payload)) != len(taken):
            for member, size in zip(members, taken, strict=True):
                if size != len(payload):
                    member.wire.queue(memoryview(payload)[size:])

    def _end_round(self) -> None:
        batch, self._round_batch = self._round_batch, []
        self._on_round(batch, self._round_deliveries)

    def _catch_some_up(self) -> None:
        for _ in range(min(len(self._catching_up), self._writes_per_step)):
            connection = next(iter(self._catching_up))
            del self._catching_up[connection]  # to the end of the line, if it is not done in this turn
            connection.flow = Flow.DETACHED
            self._send_missed(connection)

    def _send_missed(self, connection: Connection) -> None:
        ring = self._rings[connection.feed]
        if connection.position < ring.floor:
            connection.position = self.head
            if self._on_overrun(connection):
                self._catch_up_or_join(connection)
            return
        same = (connection.feed, connection.position, self.head, *missed_as(connection))
        items = ring.after(connection.position, self.head, CATCH_UP_ITEMS)
        connection.position = items[-1].entry.position if items else self.head
        connection.flow = Flow.CATCHING_UP  # so that a transport that fills up inside the write pauses it
        self._catching_up[connection] = None
        if self._missed[0] != same:
            frames = [missed_frame(connection, item) for item in items if wanted(connection, item.entry)]
            self._missed = (same, b"".join(frames))
        payload = self._missed[1]
        if payload:
            connection.send(payload)
        if connection.flow is Flow.CATCHING_UP and len(items) < CATCH_UP_ITEMS:
            del self._catching_up[connection]
            connection.flow = Flow.DETACHED
            self._catch_up_or_join(connection)
