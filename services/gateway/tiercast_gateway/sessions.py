"""Every connection's life, from its token to its close. Pure: sockets, clock and look-ups are behind arguments.

open → token (`credentials`) → tier looked up → `connected` → hub (`delivery`). From then on the hub sends the signals, the
connection moves when its user's tier does (`tier_moves`), is answered (`dialogue`), and ends when its token does.
"""

import time
from collections.abc import Callable, Iterator

from tiercast_gateway.auth import Identity
from tiercast_gateway.backfill import PAGE, RETRY_SECONDS
from tiercast_gateway.connection import Connection, State
from tiercast_gateway.connection_limits import ConnectionLimits, unlimited
from tiercast_gateway.credentials import Credentials
from tiercast_gateway.delivery import Delivery
from tiercast_gateway.dialogue import Dialogue
from tiercast_gateway.entitlements import Entitlements
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.registry import Registry
from tiercast_gateway.renewal import Renewable
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_gateway.tier_moves import TierMoves
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import Connected, Reconnect, ServerFrame, Stale
from tiercast_shared.contracts.tiers import Tier

HEARTBEAT_SECONDS = 25.0
"""Below the idle time-out of usual proxies (60 s), twice."""


class Sessions:
    """All connections of this replica, as the edge, the tier cache, the feed and the clock see them."""

    def __init__(
        self,
        *,
        hub: Hub,
        feed: SignalFeed,
        tiers: TierCache,
        verify: Callable[[str], Identity],
        look_up: Callable[[str], None],
        missed: MissedSignals,
        entitlements: Entitlements,
        limits: ConnectionLimits | None = None,
        refill_needed: Callable[[], None] = lambda: None,
        keys: Renewable | None = None,
        clock: Callable[[], float] = time.time,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        messages_per_second: int | None = None,
        backfill_page: int = PAGE,
        backfill_retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._feed = feed
        self._tiers = tiers
        self._look_up = look_up
        self._entitlements = entitlements
        self._clock = clock
        self.heartbeat_seconds = heartbeat_seconds
        self._stale = False
        self._limits = limits or unlimited()
        self.registry = Registry(hub, tiers, self._limits)
        self._delivery = Delivery(
            hub,
            feed,
            missed,
            self.registry,
            refill_needed=refill_needed,
            clock=clock,
            page=backfill_page,
            retry_seconds=backfill_retry_seconds,
        )
        self._moves = TierMoves(self.registry, hub, self._delivery, tiers=tiers, entitlements=entitlements)
        self._credentials = Credentials(
            self.registry,
            tiers,
            verify=verify,
            keys=keys,
            on_identified=self._identified,
            clock=clock,
        )
        self._dialogue = Dialogue(
            self.registry, hub, feed, self._credentials, clock=clock, messages_per_second=messages_per_second
        )
        self.backfill, self.resyncs = self._delivery.backfill, self._delivery.resyncs
        # what the edge, the hub and the feed say goes straight to whom it concerns
        self.lost, self.close = self.registry.lost, self.registry.close
        self.received, self.beat = self._dialogue.received, self._dialogue.beat
        self.paused, self.resumed = self._delivery.paused, self._delivery.resumed
        self.overran, self.incomplete = self._delivery.overran, self._delivery.incomplete
        self.feed_loaded = self._delivery.feed_loaded

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.registry)

    def __len__(self) -> int:
        return len(self.registry)

    @property
    def users(self) -> list[str]:
        """Users with at least one connection."""
        return self.registry.users

    @property
    def by_tier(self) -> dict[Tier, int]:
        """Open connections by tier."""
        return self.registry.by_tier

    @property
    def leaving(self) -> int:
        """Sockets that were sent a close frame and are still there."""
        return self.registry.leaving

    # -- opening ---------------------------------------------------------------------------------

    def opened(self, connection: Connection, token: str | None) -> None:
        """A socket is there. Without a token it has 5 s to send one."""
        connection.connected_at = self._clock()
        self.registry.add(connection)
        if token is not None:
            self._credentials.present(connection, token)

    def _identified(self, connection: Connection) -> None:
        known = self._tiers.get(connection.user_id)
        if known is None:
            self._look_up(connection.user_id)
        else:
            self._welcome(connection, known)

    def _welcome(self, connection: Connection, known: KnownTier) -> None:
        if not self._credentials.ended_by(connection, known):
            tier, withheld = self._moves.served_as(connection.user_id, known)
            self._open(connection, tier, withheld=withheld)

    def _open(self, connection: Connection, tier: Tier, *, withheld: bool) -> None:
        """Welcome it as `tier`; with `withheld`, that may be less than it is entitled to."""
        if not self._limits.admits(connection.user_id):
            self.registry.turn_away(connection)
            return
        self.registry.opened(connection, tier)
        connection.feed = self._entitlements[tier].feed
        start = self._delivery.start_of(connection)
        # the end of the feed may be ahead of what the hub has begun to send
        here = self._feed.cursor_at(connection.feed, start.position)
        cursor = connection.resume if start.recovered and connection.resume else here
        connection.replay_until = self._feed.head if start.recovered else 0
        if withheld:
            connection.withheld_from, connection.frozen = start.position, cursor
        _send(
            connection,
            Connected(
                message=f"Connected to Tiercast as {tier}",
                connection_id=connection.id,
                user_tier=tier,
                cursor=cursor,
                recovered=start.recovered,
                heartbeat_seconds=self.heartbeat_seconds,
                server_timestamp=self._clock(),
            ),
        )
        if self._stale:
            _send(connection, Stale(type="stale", server_timestamp=self._clock()))
        if start.problem is not None:
            self._delivery.resync(connection, start.problem, cursor)
        self._delivery.begin(connection, start.position)

    # -- what is learnt --------------------------------------------------------------------------

    def tier_learnt(self, user_id: str, _before: KnownTier, known: KnownTier, reason: str) -> None:
        """The tier cache knows something new of a connected user: open who waits, move who is open, end who is revoked."""
        for connection in self.registry.of(user_id):
            if connection.state is State.OPENING:
                self._welcome(connection, known)
            elif connection.state is State.OPEN and not self._credentials.ended_by(connection, known):
                self._moves.learnt(connection, known, reason)
        self._limits.enforce(user_id)  # a lower tier has fewer

    def tier_unknown(self, user_id: str) -> None:
        """The look-up failed: who waits for it is served as STARTER until more is known."""
        for connection in self.registry.of(user_id):
            if connection.state is State.OPENING:
                self._open(connection, Tier.STARTER, withheld=True)

    def upstream_is(self, *, stale: bool) -> None:
        """Upstream has been silent for too long, or is back: everyone is told."""
        self._stale = stale
        frame = encode(Stale(type="stale" if stale else "fresh", server_timestamp=self._clock()))
        for connection in self.registry.open_ones:
            connection.send(frame)

    # -- ending ----------------------------------------------------------------------------------

    def send_away(self, connection: Connection, retry_after_ms: int) -> None:
        """This replica drains: say where to go on and when, then close."""
        if connection.state is State.OPEN:
            cursor = self._delivery.cursor_to_leave_with(connection)
            _send(connection, Reconnect(retry_after_ms=retry_after_ms, cursor=cursor))
        self.close(connection, CloseCode.DRAINING, "this replica is draining")

    def sweep(self) -> None:
        """Once a second: end who did not authenticate or whose token is over, and follow the tier lease."""
        self._credentials.sweep()
        self._delivery.sweep()
        self._moves.sweep()
        self._limits.sweep()


def _send(connection: Connection, frame: ServerFrame) -> None:
    connection.send(encode(frame))
