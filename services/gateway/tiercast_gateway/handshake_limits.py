"""How many WebSocket upgrades one address may ask for in a second."""

from collections.abc import Sequence

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from tiercast_gateway.addresses import Network, client_address


class HandshakeLimits:
    """Counts upgrades by address, on this replica."""

    def __init__(self, per_second: int, trusted: Sequence[Network] = ()) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._item = RateLimitItemPerSecond(per_second)
        self._trusted = trusted

    def take(self, peer: str, forwarded_for: Sequence[str]) -> bool:
        """Count an upgrade; returns whether it is within the limit."""
        return self._limiter.hit(self._item, client_address(peer, forwarded_for, self._trusted))
