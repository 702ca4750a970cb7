"""Who is connected where: this replica's connections by user, and what the other replicas say of theirs. Pure.

Connections of one user are ordered by when they were opened, over all replicas. Every replica knows the same times, so each can
tell by itself which of its own are among the oldest. What a replica said counts for the moment at which it was heard: connections
push another out only if all of them were open at one moment, or those of a replica that was killed, counted until it is forgotten,
would do so when they come back elsewhere.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
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
    known_at: float
    """The same, monotonic seconds."""
    evict: Callable[[], None]
    """Ends it, because its user has too many."""


@dataclass(frozen=True, slots=True)
class PeerUser:
    """A user's connections to another replica."""

    tier: Tier
    opened: dict[float, float]
    """When each was opened (Unix seconds), and when this replica was first told so (monotonic seconds)."""


@dataclass(slots=True)
class Peer:
    """Another replica, as it was heard last."""

    instance: str
    heard_at: float
    """Monotonic seconds."""
    users: dict[str, PeerUser] = field(default_factory=dict)


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
        self.on_news: Callable[[], None] = _nobody
        """Called whenever there is something to report."""

    # -- this replica's own ----------------------------------------------------------------------

    def _change(self, user_id: str) -> None:
        self._changed[user_id] = None
        self.on_news()

    def opened(self, user_id: str, holder: Hashable, tier: Tier, evict: Callable[[], None]) -> None:
        """A connection is open; it is the user's newest."""
        newest = max(self._opened(user_id), default=0.0)
        seat = Seat(max(self._clock(), newest + TICK), self._monotonic(), evict)
        self._seats.setdefault(user_id, {})[holder] = seat
        self._tiers[user_id] = tier
        self._change(user_id)

    def moved(self, user_id: str, tier: Tier) -> None:
        """The user is served as another tier."""
        if user_id in self._tiers:
            self._tiers[user_id] = tier
            self._change(user_id)

    def closed(self, user_id: str, holder: Hashable) -> None:
        """A connection is over."""
        seats = self._seats[user_id]
        del seats[holder]
        if not seats:
            del self._seats[user_id], self._tiers[user_id]
        self._change(user_id)

    def repeat(self, user_id: str) -> None:
        """Tell of the user again, so that the others know what is still so."""
        self._change(user_id)

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
            self.on_news()
        peer.heard_at = now = self._monotonic()
        known, peer.users = peer.users, {} if report.full else peer.users
        for user_id, user in report.users.items():
            before = known.get(user_id)
            opened = {at: now if before is None else before.opened.get(at, now) for at in user.opened_at}
            if opened:
                peer.users[user_id] = PeerUser(user.tier, opened)
            else:
                peer.users.pop(user_id, None)
        return list(report.users)

    def sweep(self) -> None:
        """Forget replicas that are silent for too long."""
        now = self._monotonic()
        self._peers = {name: peer for name, peer in self._peers.items() if now - peer.heard_at <= self._expiry}

    # -- questions -------------------------------------------------------------------------------

    def count(self, user_id: str) -> int:
        """A user's connections to all replicas, as they were heard last."""
        here = len(self._seats.get(user_id, ()))
        return here + sum(len(peer.users[user_id].opened) for peer in self._peers.values() if user_id in peer.users)

    def beyond(self, user_id: str, limit: int) -> list[Seat]:
        """This replica's connections of a user that are not among the newest `limit` of those open at one moment."""
        if user_id not in self._seats or self.count(user_id) <= limit:  # at no moment were there more than there are
            return []
        heard = {peer.heard_at for peer in self._peers.values() if user_id in peer.users}
        found: dict[float, Seat] = {}
        for moment in (*heard, math.inf):
            ranked = self._ranked(user_id, moment)
            found |= {at: seat for at, seat in ranked[: max(0, len(ranked) - limit)] if seat is not None}
        return list(found.values())

    def _opened(self, user_id: str) -> Iterator[float]:
        """When each of a user's connections was opened, on all replicas."""
        yield from (seat.opened_at for seat in self._seats.get(user_id, {}).values())
        for peer in self._peers.values():
            if (user := peer.users.get(user_id)) is not None:
                yield from user.opened

    def _ranked(self, user_id: str, moment: float) -> list[tuple[float, Seat | None]]:
        """Those that were open at a moment (monotonic), oldest first; None stands for another replica's.

        Those of a replica that was not heard since do not count: they may be gone. Equal times are told apart by the replicas'
        names, everywhere alike.
        """
        own = self._seats.get(user_id, {}).values()
        found = [(seat.opened_at, self.replica, seat) for seat in own if seat.known_at <= moment]
        others = [
            (at, name, None)
            for name, peer in self._peers.items()
            if peer.heard_at >= moment and (user := peer.users.get(user_id)) is not None
            for at, known_at in user.opened.items()
            if known_at <= moment
        ]
        return [(at, seat) for at, _, seat in sorted([*found, *others], key=lambda one: one[:2])]

    def is_here(self, user_id: str) -> bool:
        """Whether the user has a connection to this replica."""
        return user_id in self._seats

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
                counted[user.tier] += len(user.opened)
        return dict(counted)

    def by_replica(self) -> dict[str, dict[Tier, int]]:
        """Open connections by replica and tier."""
        counted = {self.replica: self.by_tier(cluster=False)}
        for name, peer in self._peers.items():
            tiers = Counter(dict.fromkeys(Tier, 0))
            for user in peer.users.values():
                tiers[user.tier] += len(user.opened)
            counted[name] = dict(tiers)
        return counted

    def active_users(self, *, cluster: bool) -> int:
        """Users with a connection: to this replica, or to any."""
        others = (peer.users.keys() for peer in self._peers.values()) if cluster else ()
        return len(set(self._seats).union(*others))


def _nobody() -> None:
    """Nobody reports."""
