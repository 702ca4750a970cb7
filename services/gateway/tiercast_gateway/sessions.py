"""Every connection's life, from its token to its close. Pure: sockets, clock and look-ups are behind arguments.

open → authenticate → (tier looked up) → `connected` → hub. From then on the hub sends the signals, and this module moves the
connection when its user's tier changes, answers what the client says, and ends it when its token does.
"""

import time
from collections.abc import Callable, Iterator

from tiercast_gateway.auth import Identity
from tiercast_gateway.backfill import Backfill
from tiercast_gateway.connection import Connection, Flow, State
from tiercast_gateway.entitlements import Entitlements
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.inbox import EVERYTHING, BadMessage, added, parse, removed
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import (
    ClientAuth,
    ClientPing,
    ClientSubscribe,
    Connected,
    ErrorFrame,
    Heartbeat,
    Reconnect,
    ResyncRequired,
    ServerFrame,
    Stale,
    Subscribed,
    TierChangedFrame,
)
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier

HEARTBEAT_SECONDS = 25.0
"""Below the idle time-out of usual proxies (60 s), twice."""

AUTH_SECONDS = 5.0
AHEAD_SECONDS = 5.0
"""How long a replica may take to come to where a client has been elsewhere."""

MAX_STRIKES = 3
UNVERIFIED = "unverified"


class Sessions:
    """All connections of this replica."""

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
        refill_needed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._hub = hub
        self._feed = feed
        self._tiers = tiers
        self._verify = verify
        self._look_up = look_up
        self._missed = missed
        self.backfill = Backfill(missed, on_reached=self._reached, on_incomplete=self.incomplete)
        self._entitlements = entitlements
        self._refill_needed = refill_needed
        self._clock = clock
        self.heartbeat_seconds = heartbeat_seconds
        self._connections: dict[Connection, None] = {}
        self._leaving: dict[Connection, None] = {}
        self._anonymous: dict[Connection, None] = {}
        """Those without a token yet."""
        self._unverified = False
        """Whether the tier lease was over at the last sweep."""
        self._stale = False
        self._by_user: dict[str, dict[Connection, None]] = {}
        self._by_tier: dict[Tier, int] = dict.fromkeys(Tier, 0)

    # -- what is asked of it ---------------------------------------------------------------------

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections))

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def users(self) -> list[str]:
        """Users with at least one connection."""
        return list(self._by_user)

    @property
    def leaving(self) -> int:
        """Sockets that were sent a close frame and are still there."""
        return len(self._leaving)

    @property
    def by_tier(self) -> dict[Tier, int]:
        """Open connections by tier."""
        return dict(self._by_tier)

    # -- life ------------------------------------------------------------------------------------

    def opened(self, connection: Connection, token: str | None) -> None:
        """A socket is there. Without a token it has 5 s to send one."""
        connection.connected_at = self._clock()
        self._connections[connection] = None
        self._anonymous[connection] = None
        if token is not None:
            self._authenticate(connection, token)

    def lost(self, connection: Connection) -> None:
        """Its transport is gone."""
        self._forget(connection)
        self._leaving.pop(connection, None)

    def paused(self, connection: Connection) -> None:
        """Its transport is full."""
        self._hub.pause(connection)

    def resumed(self, connection: Connection) -> None:
        """Its transport has drained."""
        self._hub.resume(connection)
        self.backfill.drained(connection)

    def close(self, connection: Connection, code: CloseCode, reason: str, *, error: str | None = None) -> None:
        """End it: out of the hub first, then an `error` frame that says why, then the close frame."""
        if connection.state is State.CLOSED:
            return
        self._forget(connection)
        if error is not None:
            self._send(connection, ErrorFrame(code=error, message=reason))
        self._leaving[connection] = None
        connection.wire.close(code, reason)

    def _forget(self, connection: Connection) -> None:
        if connection.state is State.CLOSED:
            return
        self._hub.detach(connection)
        if connection.state is State.OPEN:
            self._by_tier[connection.tier] -= 1
        connection.become(State.CLOSED)
        self._connections.pop(connection, None)
        self._anonymous.pop(connection, None)
        if connection.user_id:
            mine = self._by_user[connection.user_id]
            del mine[connection]
            if not mine:
                del self._by_user[connection.user_id]
            self._tiers.disconnect(connection.user_id)

    # -- identity --------------------------------------------------------------------------------

    def _authenticate(self, connection: Connection, token: str) -> None:
        try:
            identity = self._verify(token)
        except InvalidToken as error:
            self.close(connection, CloseCode.INVALID_TOKEN, str(error), error="invalid_token")
            return
        if connection.state is State.AUTHENTICATING:
            self._identified(connection, identity)
        elif identity.user_id != connection.user_id:
            self.close(connection, CloseCode.INVALID_TOKEN, "the token is another user's", error="invalid_token")
        elif self._tiers.revoked(identity.user_id, identity.issued_at):
            self._end_revoked(connection)
        else:
            connection.issued_at, connection.expires_at = identity.issued_at, identity.expires_at

    def _identified(self, connection: Connection, identity: Identity) -> None:
        user_id = connection.user_id = identity.user_id
        connection.issued_at, connection.expires_at = identity.issued_at, identity.expires_at
        connection.become(State.OPENING)
        del self._anonymous[connection]
        self._by_user.setdefault(user_id, {})[connection] = None
        self._tiers.connect(user_id)
        known = self._tiers.get(user_id)
        if known is None:
            self._look_up(user_id)
        else:
            self._welcome(connection, known)

    def tier_learnt(self, user_id: str, _before: KnownTier, known: KnownTier, reason: str) -> None:
        """The tier cache knows something new of a connected user: open who waits, move who is open, end who is revoked."""
        for connection in list(self._by_user.get(user_id, ())):
            if known.tokens_valid_after > connection.issued_at:
                self._end_revoked(connection)
            elif connection.state is State.OPENING:
                self._welcome(connection, known)
            else:
                self._learnt(connection, known, reason)

    def _learnt(self, connection: Connection, known: KnownTier, reason: str) -> None:
        """Move an open connection; what it is not given only because its tier cannot be verified is owed to it."""
        tier = self._tiers.tier_of(connection.user_id)
        withheld = self._entitlements[tier].feed is not self._entitlements[known.tier].feed
        self._unverified = self._unverified or withheld
        if self._entitlements[known.tier].feed is Feed.STANDARD:
            connection.withheld_from = None
        elif withheld and connection.withheld_from is None:
            connection.withheld_from = self._hub.position_of(connection)
        self._move(connection, tier, UNVERIFIED if withheld else reason)

    def tier_unknown(self, user_id: str) -> None:
        """The look-up failed: who waits for it is served as STARTER until more is known."""
        for connection in list(self._by_user.get(user_id, ())):
            if connection.state is State.OPENING:
                self._open(connection, Tier.STARTER, withheld=True)

    def _welcome(self, connection: Connection, known: KnownTier) -> None:
        if known.tokens_valid_after > connection.issued_at:
            self._end_revoked(connection)
        else:
            tier = self._tiers.tier_of(connection.user_id)
            withheld = self._entitlements[tier].feed is not self._entitlements[known.tier].feed
            self._unverified = (
                self._unverified or withheld
            )  # the next sweep looks again, even if the lease is good by then
            self._open(connection, tier, withheld=withheld)

    def _end_revoked(self, connection: Connection) -> None:
        self.close(connection, CloseCode.INVALID_TOKEN, "the token was revoked", error="revoked_token")

    def _open(self, connection: Connection, tier: Tier, *, withheld: bool) -> None:
        """Welcome it as `tier`; with `withheld`, that may be less than it is entitled to."""
        connection.become(State.OPEN)
        connection.tier = tier
        connection.feed = self._entitlements[tier].feed
        self._by_tier[tier] += 1
        position, recovered, problem = self._place(connection)
        connection.withheld_from = position if withheld else None
        # the end of the feed may be ahead of what the hub has begun to send
        here = self._feed.cursor_at(connection.feed, position)
        cursor = connection.resume if recovered and connection.resume else here
        connection.replay_until = self._feed.head if recovered else 0
        self._send(
            connection,
            Connected(
                message=f"Connected to Tiercast as {tier}",
                connection_id=connection.id,
                user_tier=tier,
                cursor=cursor,
                recovered=recovered,
                heartbeat_seconds=self.heartbeat_seconds,
                server_timestamp=self._clock(),
            ),
        )
        if self._stale:
            self._send(connection, Stale(type="stale", server_timestamp=self._clock()))
        if problem is not None:
            self._send(connection, ResyncRequired(reason=problem, cursor=cursor))
        self._begin_at(connection, position)

    def _begin_at(self, connection: Connection, position: int) -> None:
        if position < self._feed.rings[connection.feed].floor:
            self.backfill.begin(connection, position)
        else:
            self._attach(connection, position)

    def _reached(self, connection: Connection, position: int) -> None:
        """A backfilled connection has everything up to `position`."""
        if position >= self._feed.rings[connection.feed].floor:
            self._attach(connection, position)
        elif not connection.wire.congested:  # else it goes on when the socket has taken what it has
            self.backfill.begin(connection, position)

    def _attach(self, connection: Connection, position: int) -> None:
        if position > self._feed.head:  # another replica or the log was faster, and what it had is known to exist
            connection.ahead_since = self._clock()
            self._feed.learn_head(position)
            self._refill_needed()
        self._hub.attach(connection, position)

    def _place(self, connection: Connection) -> tuple[int, bool | None, str | None]:
        """Where to begin, whether nothing is missed by that, and if not, why."""
        if connection.resume is None:
            return self._hub.head, None, None
        resume = self._missed.resume(connection.resume)
        if resume.problem is not None:
            return self._hub.head, False, resume.problem
        return resume.position, True, None

    def overran(self, connection: Connection) -> bool:
        """The ring has moved past a slow connection. Returns whether it may go on, from the present."""
        connection.overruns += 1
        if connection.overruns > 1:
            self.close(connection, CloseCode.TOO_SLOW, "too slow: signals were missed again", error="too_slow")
            return False
        here = self._feed.cursor_at(connection.feed, self._hub.head)
        self._send(connection, ResyncRequired(reason="too_slow", cursor=here))
        return True

    def incomplete(self, connection: Connection, reason: str) -> None:
        """What it has missed cannot be had whole: it is told so and goes on from the present."""
        self._hub.detach(connection)
        here = self._feed.cursor_at(connection.feed, self._hub.head)
        self._send(connection, ResyncRequired(reason=reason, cursor=here))
        self._hub.attach(connection, self._hub.head)

    def feed_loaded(self) -> None:
        """The feed was read from the log, at start or because the log began a new life: everyone goes on from its end."""
        open_ones = [connection for connection in self._connections if connection.state is State.OPEN]
        for connection in open_ones:
            self._hub.detach(connection)
        self._hub.begin(self._feed.head)
        for connection in open_ones:
            connection.withheld_from, connection.premium_only_until = None, 0
            self.incomplete(connection, "feed_recreated")

    def upstream_is(self, *, stale: bool) -> None:
        """Upstream has been silent for too long, or is back: everyone is told."""
        self._stale = stale
        frame = encode(Stale(type="stale" if stale else "fresh", server_timestamp=self._clock()))
        for connection in self._connections:
            if connection.state is State.OPEN:
                connection.send(frame)

    def send_away(self, connection: Connection, retry_after_ms: int) -> None:
        """This replica drains: say where to go on and when, then close."""
        if connection.state is State.OPEN:
            position = self._hub.position_of(connection)
            if (
                connection.withheld_from is not None
            ):  # the next replica may know its tier, and owes it what was withheld here
                position = min(position, connection.withheld_from)
            here = self._feed.cursor_at(connection.feed, position)
            self._hub.detach(connection)
            self._send(connection, Reconnect(retry_after_ms=retry_after_ms, cursor=here))
        self.close(connection, CloseCode.DRAINING, "this replica is draining")

    def _move(self, connection: Connection, tier: Tier, reason: str) -> None:
        if connection.state is not State.OPEN or tier is connection.tier:
            return
        previous, connection.tier = connection.tier, tier
        self._by_tier[previous] -= 1
        self._by_tier[tier] += 1
        feed = self._entitlements[tier].feed
        if reason == UNVERIFIED and connection.feed is Feed.ALL:
            connection.withheld_from = self._hub.position_of(connection)
        self._hub.change(connection, feed=feed, symbols=connection.symbols)
        cursor = self._feed.cursor_at(feed, self._hub.position_of(connection))
        self._send(connection, TierChangedFrame(user_tier=tier, previous_tier=previous, reason=reason, cursor=cursor))
        if reason != UNVERIFIED:
            self._make_good(connection)

    def _make_good(self, connection: Connection) -> None:
        """Replay the premium signals that were withheld only because the tier could not be verified."""
        withheld_from, connection.withheld_from = connection.withheld_from, None
        if withheld_from is None or connection.feed is Feed.STANDARD:
            return
        reached = self._hub.position_of(connection)
        self._hub.detach(connection)
        connection.premium_only_until = max(reached, connection.premium_only_until)
        connection.replay_until = max(reached, connection.replay_until)
        self._begin_at(connection, withheld_from)

    # -- what clients say ------------------------------------------------------------------------

    def received(self, connection: Connection, payload: str) -> None:
        """One whole text message."""
        if connection.state is State.CLOSED:
            return
        try:
            self._handle(connection, parse(payload))
        except BadMessage as error:
            self._strike(connection, str(error))

    def _handle(self, connection: Connection, message: ClientPing | ClientAuth | ClientSubscribe) -> None:
        if isinstance(message, ClientAuth):
            self._authenticate(connection, message.token)
        elif connection.state is State.AUTHENTICATING:
            raise BadMessage('authenticate first: {"type":"auth","token":…}')
        elif isinstance(message, ClientSubscribe):
            change = added if message.type == "subscribe" else removed
            symbols = change(connection.symbols, message.symbols)
            self._hub.change(connection, feed=connection.feed, symbols=symbols)
            self._send(connection, Subscribed(symbols=[EVERYTHING] if symbols is None else sorted(symbols)))
        elif message.type == "ping":
            self._send(connection, self._heartbeat(connection, "pong"))

    def _strike(self, connection: Connection, problem: str) -> None:
        connection.strikes += 1
        if connection.strikes >= MAX_STRIKES:
            self.close(connection, CloseCode.BAD_REQUEST, problem[:100], error="bad_message")
        else:
            self._send(connection, ErrorFrame(code="bad_message", message=problem))

    # -- time ------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Once a second: end who did not authenticate or whose token is over, and follow the tier lease."""
        now = self._clock()
        for connection in [c for c in self._connections if c.expires_at <= now]:
            self.close(connection, CloseCode.TOKEN_EXPIRED, "the token has expired", error="token_expired")
        for connection in [c for c in self._anonymous if now - c.connected_at > AUTH_SECONDS]:
            self.close(connection, CloseCode.AUTH_TIMEOUT, "no token came in time", error="auth_timeout")
        for connection in self._hub.ahead:  # of the feed, or only of the hub's round
            if connection.position > self._feed.head and now - connection.ahead_since > AHEAD_SECONDS:
                self.incomplete(connection, "cursor_ahead")
        if self._tiers.lease_left <= 0 or self._unverified:
            self._follow_lease()

    def _follow_lease(self) -> None:
        """Who can no longer be trusted to have their tier falls to STARTER; who can again gets it back."""
        self._unverified = self._tiers.lease_left <= 0
        for user_id, connections in list(self._by_user.items()):
            tier, trusted = self._tiers.tier_of(user_id), self._tiers.trusted(user_id)
            for connection in list(connections):
                self._move(connection, tier, "verified" if trusted else UNVERIFIED)

    def beat(self, connection: Connection) -> None:
        """Send a JSON `ping`, unless its transport is full."""
        if connection.state is State.OPEN and connection.flow is not Flow.PAUSED:
            self._send(connection, self._heartbeat(connection, "ping"))

    def _heartbeat(self, connection: Connection, kind: str) -> Heartbeat:
        seq = self._feed.rings[connection.feed].seq
        return Heartbeat.model_validate({"type": kind, "server_timestamp": self._clock(), "seq": seq})

    def _send(self, connection: Connection, frame: ServerFrame) -> None:
        connection.send(encode(frame))
