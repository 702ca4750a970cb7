"""How many connections a user may have, over all replicas. Pure.

The newest connection wins: whoever is over the limit loses their oldest, so that a reconnect never locks its user out. Two devices
that push each other out again and again are damped: after some evictions it is the newcomer that is refused, for a while.
"""

import sys
import time
from collections.abc import Callable, Hashable

from tiercast_gateway.presence import Presence
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable

EVICTIONS = 20
"""Connections of one user that may be pushed out here in a row: far more than somebody needs whose network is bad."""

EVICTION_SECONDS = 3.0
"""After these, one more may every so many seconds: nobody is kept out for longer."""


class TooManyConnections(Unavailable):
    """A user's connections push each other out again and again."""

    status = 429
    code = "too_many_connections"

    def __init__(self) -> None:
        super().__init__("too many connections of this user push each other out", retry_after=EVICTION_SECONDS)


class ConnectionLimits:
    """Lets connections in, and ends the oldest of a user who has too many."""

    def __init__(
        self,
        presence: Presence,
        limit_of: Callable[[str], int],
        *,
        clock: Callable[[], float] = time.monotonic,
        evictions: int = EVICTIONS,
        eviction_seconds: float = EVICTION_SECONDS,
        on_evicted: Callable[[str], None] = lambda _user_id: None,
    ) -> None:
        self.presence = presence
        self._limit_of = limit_of
        self._clock = clock
        self._evictions = evictions
        self._eviction_seconds = eviction_seconds
        self._on_evicted = on_evicted
        self._used: dict[str, tuple[float, float]] = {}
        """By user: evictions not yet won back, and when that was so."""
        self._crowded: dict[str, None] = {}
        """Users here who have too many, as it seems: what other replicas say next decides."""
        self.evicted = self.refused = 0
        """Connections of this replica so far: ended, and not let in."""

    def admits(self, user_id: str) -> bool:
        """Whether one more connection of a user is let in, be it in place of the oldest."""
        if self.presence.count(user_id) < self._limit_of(user_id):
            return True
        if self._used_by(user_id) > self._evictions - 1:
            self.refused += 1
            return False
        return True

    def _used_by(self, user_id: str) -> float:
        used, at = self._used.get(user_id, (0.0, 0.0))
        return max(0.0, used - (self._clock() - at) / self._eviction_seconds)

    def opened(self, user_id: str, holder: Hashable, tier: Tier, evict: Callable[[], None]) -> None:
        """A connection that was let in is open: the user's oldest make room for it."""
        self.presence.opened(user_id, holder, tier, evict)
        self.enforce(user_id)

    def heard(self, report: GatewayPresence) -> None:
        """Another replica has reported."""
        for user_id in {*self.presence.heard(report), *self._crowded}:
            self.enforce(user_id)

    def enforce(self, user_id: str) -> None:
        """End this replica's share of what a user has too many; called, too, when a limit may have sunk."""
        limit = self._limit_of(user_id)
        for seat in self.presence.beyond(user_id, limit):
            self.evicted += 1
            self._used[user_id] = (self._used_by(user_id) + 1, self._clock())
            seat.evict()
            self._on_evicted(user_id)
        if not self.presence.is_here(user_id) or self.presence.count(user_id) <= limit:
            self._crowded.pop(user_id, None)
        elif user_id not in self._crowded:
            self._crowded[user_id] = None
            self.presence.repeat(user_id)  # the replica with the newcomer waits for that

    def sweep(self) -> None:
        """Forget replicas that are gone, and who has pushed nobody out for a while."""
        self.presence.sweep()
        for user_id in list(self._crowded):
            self.enforce(user_id)
        self._used = {user: used for user, used in self._used.items() if self._used_by(user)}


def unlimited() -> ConnectionLimits:
    """Counts, and lets everybody in."""
    return ConnectionLimits(Presence("alone", "1"), lambda _user_id: sys.maxsize)
