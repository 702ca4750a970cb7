"""Where each connection stands in its feed, and what it is told when that cannot be whole. Pure, like the hub that sends."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tiercast_gateway.backfill import PAGE, RETRY_SECONDS, Backfill
from tiercast_gateway.connection import Connection
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.registry import Registry
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import ResyncRequired
from tiercast_shared.contracts.signals import Feed

RESYNC_REASONS = ("too_slow", "feed_recreated", "invalid_cursor", "cursor_too_old", "cursor_ahead", "log_unavailable")

AHEAD_SECONDS = 5.0
"""How long a replica may take to come to where a client has been elsewhere."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a connection begins, and whether nothing is missed by that; None if there is nothing to resume."""

    position: int
    recovered: bool | None
    problem: str | None = None
    """Why something is missed."""


class Delivery:
    """Takes connections to the hub, by the way of the log if they come from before the rings."""

    def __init__(
        self,
        hub: Hub,
        feed: SignalFeed,
        missed: MissedSignals,
        registry: Registry,
        *,
        refill_needed: Callable[[], None],
        clock: Callable[[], float],
        page: int = PAGE,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._hub = hub
        self._feed = feed
        self._missed = missed
        self._registry = registry
        self._refill_needed = refill_needed
        self._clock = clock
        self.resyncs: Counter[str] = Counter()
        """Sockets told so far that something is missing, by why."""
        self.backfill = Backfill(
            missed, on_reached=self._reached, on_incomplete=self.incomplete, page=page, retry_seconds=retry_seconds
        )

    # -- beginning -------------------------------------------------------------------------------

    def start_of(self, connection: Connection) -> Start:
        """Where it asks to begin, by its cursor."""
        if connection.resume is None:
            return Start(self._hub.head, None)
        resume = self._missed.resume(connection.resume)
        if resume.problem is not None:
            return Start(self._hub.head, recovered=False, problem=resume.problem)
        return Start(resume.position, recovered=True)

    def begin(self, connection: Connection, position: int) -> None:
        """Send it everything after `position`, and then live."""
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

    # -- going on --------------------------------------------------------------------------------

    def paused(self, connection: Connection) -> None:
        """Its transport is full."""
        self._hub.pause(connection)

    def resumed(self, connection: Connection) -> None:
        """Its transport has drained."""
        self._hub.resume(connection)
        self.backfill.drained(connection)

    def withhold(self, connection: Connection) -> None:
        """It is not given premium signals from its present position on, only because its tier cannot be verified.

        Its cursor stands still there: whoever resumes from it, here or elsewhere, is owed what was withheld.
        """
        position = self._hub.position_of(connection)
        connection.withheld_from = position
        self._hub.freeze(connection, self._feed.cursor_at(connection.feed, position))

    def owe_nothing(self, connection: Connection) -> None:
        """It gets all it is entitled to."""
        connection.withheld_from = None
        self._hub.freeze(connection, None)

    def make_good(self, connection: Connection) -> None:
        """Replay the premium signals that were withheld only because the tier could not be verified."""
        withheld_from = connection.withheld_from
        self.owe_nothing(connection)
        if withheld_from is None or connection.feed is Feed.STANDARD:
            return
        reached = self._hub.position_of(connection)
        self._hub.detach(connection)
        connection.premium_only_until = max(reached, connection.premium_only_until)
        connection.replay_until = max(reached, connection.replay_until)
        self.begin(connection, withheld_from)

    def cursor_to_leave_with(self, connection: Connection) -> str:
        """Where it goes on at another replica, which may know its tier and owes it what was withheld here; it leaves the hub."""
        self._hub.detach(connection)
        return self.cursor_of(connection)

    def cursor_of(self, connection: Connection) -> str:
        """Where it would go on if it were cut off now."""
        return connection.frozen or self._feed.cursor_at(connection.feed, self._hub.position_of(connection))

    # -- what cannot be whole --------------------------------------------------------------------

    def overran(self, connection: Connection) -> bool:
        """The ring has moved past a slow connection. Returns whether it may go on, from the present."""
        connection.overruns += 1
        if connection.overruns > 1:
            self._registry.close(
                connection, CloseCode.TOO_SLOW, "too slow: signals were missed again", error="too_slow"
            )
            return False
        self.resync(connection, "too_slow")
        return True

    def incomplete(self, connection: Connection, reason: str) -> None:
        """What it has missed cannot be had whole: it is told so and goes on from the present."""
        self._hub.detach(connection)
        connection.position = self._hub.head
        if connection.withheld_from is not None:
            self.withhold(connection)  # from here on: what was withheld before cannot be had either
        self.resync(connection, reason)
        self._hub.attach(connection, self._hub.head)

    def feed_loaded(self) -> None:
        """The feed was read from the log, at start or because the log began a new life: everyone goes on from its end."""
        open_ones = self._registry.open_ones
        for connection in open_ones:
            self._hub.detach(connection)
        self._hub.begin(self._feed.head)
        for connection in open_ones:
            connection.premium_only_until = 0
            self.incomplete(connection, "feed_recreated")

    def sweep(self) -> None:
        """Wait no longer for signals that do not come."""
        now = self._clock()
        for connection in self._hub.ahead:  # of the feed, or only of the hub's round
            if connection.position > self._feed.head and now - connection.ahead_since > AHEAD_SECONDS:
                self.incomplete(connection, "cursor_ahead")

    def resync(self, connection: Connection, reason: str, cursor: str | None = None) -> None:
        """Tell it that something is missing, and from where it goes on: from its present position, unless `cursor` says it."""
        self.resyncs[reason] += 1
        connection.send(encode(ResyncRequired(reason=reason, cursor=cursor or self.cursor_of(connection))))
