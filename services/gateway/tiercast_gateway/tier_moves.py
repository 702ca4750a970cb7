"""Movement between tiers: which tier a connection is served as, and what it is owed when that could not be known. Pure."""

from tiercast_gateway.connection import Connection, State
from tiercast_gateway.delivery import Delivery
from tiercast_gateway.entitlements import Entitlements
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.registry import Registry
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_shared.contracts.frames import TierChangedFrame
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier

UNVERIFIED = "unverified"


class TierMoves:
    """Moves open connections as the tier cache learns, and as its lease ends and begins."""

    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        delivery: Delivery,
        *,
        tiers: TierCache,
        entitlements: Entitlements,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._delivery = delivery
        self._tiers = tiers
        self._entitlements = entitlements
        self._unverified = False
        """Whether somebody was served as less than they are known to be: the next sweep looks again, even if the lease is good."""

    def served_as(self, user_id: str, known: KnownTier) -> tuple[Tier, bool]:
        """The tier that may be trusted now, and whether that withholds what the known one is entitled to."""
        tier = self._tiers.tier_of(user_id)
        withheld = self._entitlements[tier].feed is not self._entitlements[known.tier].feed
        self._unverified = self._unverified or withheld
        return tier, withheld

    def learnt(self, connection: Connection, known: KnownTier, reason: str) -> None:
        """Move an open connection; what it is not given only because its tier cannot be verified is owed to it."""
        tier, withheld = self.served_as(connection.user_id, known)
        if self._entitlements[known.tier].feed is Feed.STANDARD:
            self._delivery.owe_nothing(connection)
        elif withheld and connection.withheld_from is None:
            self._delivery.withhold(connection)
        self._move(connection, tier, UNVERIFIED if withheld else reason)

    def sweep(self) -> None:
        """Who can no longer be trusted to have their tier falls to STARTER; who can again gets it back."""
        if self._tiers.lease_left > 0 and not self._unverified:
            return
        self._unverified = self._tiers.lease_left <= 0
        for user_id in self._registry.users:
            tier, trusted = self._tiers.tier_of(user_id), self._tiers.trusted(user_id)
            for connection in self._registry.of(user_id):
                self._move(connection, tier, "verified" if trusted else UNVERIFIED)

    def _move(self, connection: Connection, tier: Tier, reason: str) -> None:
        if connection.state is not State.OPEN or tier is connection.tier:
            return
        previous, feed = connection.tier, self._entitlements[tier].feed
        self._registry.moved(connection, tier)
        if reason == UNVERIFIED and connection.feed is Feed.ALL:
            self._delivery.withhold(connection)
        self._hub.change(connection, feed=feed, symbols=connection.symbols)
        cursor = self._delivery.cursor_of(connection)
        frame = TierChangedFrame(user_tier=tier, previous_tier=previous, reason=reason, cursor=cursor)
        connection.send(encode(frame))
        if reason != UNVERIFIED:
            self._delivery.make_good(connection)
