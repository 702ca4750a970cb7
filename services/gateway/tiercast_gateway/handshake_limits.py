"""How many WebSocket upgrades each address may ask this replica for in a second."""

from collections.abc import Sequence

from throttled import MemoryStore, RateLimiterType, Throttled, per_sec

from tiercast_gateway.addresses import Network, client_address

MAX_ADDRESSES = 100_000
"""Addresses remembered (about 300 bytes each); who floods from more has each of them forgotten in turn."""


class HandshakeLimits:
    """Counts upgrades by address."""

    def __init__(self, per_second: int, trusted: Sequence[Network] = ()) -> None:
        store = MemoryStore(options={"MAX_SIZE": MAX_ADDRESSES})
        self._upgrades = Throttled(using=RateLimiterType.GCRA.value, quota=per_sec(per_second), store=store)
        self._trusted = trusted

    def take(self, peer: str, forwarded_for: Sequence[str]) -> bool:
        """Count an upgrade; returns whether it is within the limit."""
        address = client_address(peer, forwarded_for, self._trusted) or "unknown"
        return not self._upgrades.limit(address).limited
