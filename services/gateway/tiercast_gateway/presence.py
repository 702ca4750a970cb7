"""Who is connected where: this replica's connections by user, and what the other replicas say of theirs. Pure.

Connections of one user are ordered by when they were opened, over all replicas. Every replica knows the same times, so each can
tell by itself which of its own are among the oldest.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from tiercast_shared.contracts.presence import GatewayPresence, UserPresence
from tiercast_shared.contracts.tiers import Tier

EXPIRY_SECONDS = 5.0
"""Five reports missed: the replica is gone, and its connections with it."""

TICK = 1e-6
"""A newer connection is newer by this much at least, whatever the replicas' clocks say."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One connection of this replica."""

    opened_at: float
    """Unix seconds."""
    evict: Callable[[], None]
    """Ends it, because its user has too many."""


@dataclass(slots=True)
class Peer:
    """Another replica, as it was heard last."""

    instance: str
    heard_at: float
    """Monotonic seconds."""
    users: dict[str, UserPresence] = field(default_factory=dict)


class Presence:
    """Counts connections by user and tier, here and over all replicas."""

    def __init__(
        self,
        replica: str,
        instance: str,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        expiry: float = EXPIRY_SECONDS,
    ) -> None:
        self.replica = replica
        self._instance = instance
        self._clock = clock
        self._monotonic = monotonic
        self._expiry = expiry
        self._seats: dict[str, dict[Hashable, Seat]] = {}
        self._tiers: dict[str, Tier] = {}
        self._changed: dict[str, None] = {}
        self._peers: dict[str, Peer] = {}
        self._owes_everything = True
        """Whether somebody has not heard of all users yet."""

    # -- this replica's own ----------------------------------------------------------------------

    def opened(self, user_id: str, holder: Hashable, tier: Tier, evict: Callable[[], None]) -> None:
        """A connection is open; it is the user's newest."""
        newest = max((at for at, _ in self._ranked(user_id)), default=0.0)
        self._seats.setdefault(user_id, {})[holder] = Seat(max(self._clock(), newest + TICK), evict)
        self._tiers[user_id] = tier
        self._changed[user_id] = None

    def moved(self, user_id: str, tier: Tier) -> None:
        """The user is served as another tier."""
        if user_id in self._tiers:
            self._tiers[user_id] = tier
            self._changed[user_id] = None

    def closed(self, user_id: str, holder: Hashable) -> None:
        """A connection is over."""
        seats = self._seats[user_id]
        del seats[holder]
        if not seats:
            del self._seats[user_id], self._tiers[user_id]
        self._changed[user_id] = None

    @property
    def news(self) -> bool:
        """Whether there is something to report."""
        return bool(self._changed) or self._owes_everything

    def report(self, *, full: bool) -> GatewayPresence:
        """What has changed since the last report; everything if `full`, or if a replica is new to this one."""
        full = full or self._owes_everything
        users = {user_id: self._own(user_id) for user_id in (self._seats if full else self._changed)}
        self._changed.clear()
        self._owes_everything = False
        return GatewayPresence(schema=1, replica=self.replica, instance=self._instance, full=full, users=users)

    def _own(self, user_id: str) -> UserPresence:
        seats = self._seats.get(user_id, {})
        return UserPresence(
            tier=self._tiers.get(user_id, Tier.STARTER), opened_at=[seat.opened_at for seat in seats.values()]
        )

    # -- the others' -----------------------------------------------------------------------------

    def heard(self, report: GatewayPresence) -> list[str]:
        """Another replica has reported; returns the users of whom it said something."""
        if report.replica == self.replica:
            return []
        peer = self._peers.get(report.replica)
        if peer is None or peer.instance != report.instance:
            peer = self._peers[report.replica] = Peer(report.instance, 0.0)
            self._owes_everything = True
        peer.heard_at = self._monotonic()
        if report.full:
            peer.users = {}
        for user_id, user in report.users.items():
            if user.opened_at:
                peer.users[user_id] = user
            else:
                peer.users.pop(user_id, None)
        return list(report.users)

    def sweep(self) -> None:
        """Forget replicas that are silent for too long."""
        now = self._monotonic()
        self._peers = {name: peer for name, peer in self._peers.items() if now - peer.heard_at <= self._expiry}

    # -- questions -------------------------------------------------------------------------------

    def count(self, user_id: str) -> int:
        """A user's connections to all replicas."""
        return len(self._ranked(user_id))

    def beyond(self, user_id: str, limit: int) -> list[Seat]:
        """This replica's connections of a user that are not among the newest `limit` of all."""
        if user_id not in self._seats:
            return []
        ranked = self._ranked(user_id)
        return [seat for _, seat in ranked[: max(0, len(ranked) - limit)] if seat is not None]

    def _ranked(self, user_id: str) -> list[tuple[float, Seat | None]]:
        """Oldest first; None stands for another replica's. Equal times are told apart by the replicas' names, everywhere alike."""
        found = [(seat.opened_at, self.replica, seat) for seat in self._seats.get(user_id, {}).values()]
        others = [
            (at, name, None)
            for name, peer in self._peers.items()
            if (user := peer.users.get(user_id)) is not None
            for at in user.opened_at
        ]
        return [(at, seat) for at, _, seat in sorted([*found, *others], key=lambda one: one[:2])]

    @property
    def users(self) -> list[str]:
        """Users with a connection to this replica."""
        return list(self._seats)

    def by_tier(self, *, cluster: bool) -> dict[Tier, int]:
        """Open connections by tier: of this replica, or of all."""
        counted = Counter(dict.fromkeys(Tier, 0))
        for user_id, seats in self._seats.items():
            counted[self._tiers[user_id]] += len(seats)
        for peer in self._peers.values() if cluster else ():
            for user in peer.users.values():
                counted[user.tier] += len(user.opened_at)
        return dict(counted)

    def by_replica(self) -> dict[str, dict[Tier, int]]:
        """Open connections by replica and tier."""
        counted = {self.replica: self.by_tier(cluster=False)}
        for name, peer in self._peers.items():
            tiers = Counter(dict.fromkeys(Tier, 0))
            for user in peer.users.values():
                tiers[user.tier] += len(user.opened_at)
            counted[name] = dict(tiers)
        return counted

    def active_users(self, *, cluster: bool) -> int:
        """Users with a connection: to this replica, or to any."""
        others = (peer.users.keys() for peer in self._peers.values()) if cluster else ()
        return len(set(self._seats).union(*others))
