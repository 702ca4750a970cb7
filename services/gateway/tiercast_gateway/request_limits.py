"""How many requests a user may make in a minute, by tier."""

import math
import time
from collections import Counter

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from tiercast_gateway.entitlements import Entitlements
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable

Headers = dict[str, str]


class TooManyRequests(Unavailable):
    """The user is above the limit of the tier."""

    status = 429
    code = "too_many_requests"


class RequestLimits:
    """Counts requests by user, on this replica."""

    def __init__(self, entitlements: Entitlements) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items = {
            tier: RateLimitItemPerMinute(entitlement.requests_per_minute) for tier, entitlement in entitlements.items()
        }
        self.refused: Counter[Tier] = Counter()
        """Requests above the limit so far."""

    def take(self, user_id: str, tier: Tier) -> bool:
        """Count a request; returns whether it is within the limit."""
        taken = self._limiter.hit(self._items[tier], user_id)
        self.refused[tier] += not taken
        return taken

    def headers(self, user_id: str, tier: Tier) -> Headers:
        """Where the user stands (draft-ietf-httpapi-ratelimit-headers, and the names that were usual before it)."""
        item = self._items[tier]
        window = self._limiter.get_window_stats(item, user_id)
        limit, left, seconds = item.amount, max(0, window.remaining), max(0, math.ceil(window.reset_time - time.time()))
        return {
            "RateLimit-Policy": f'"minute";q={limit};w=60',
            "RateLimit": f'"minute";r={left};t={seconds}',
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(seconds),
        }

    def refusal(self, user_id: str, tier: Tier) -> TooManyRequests:
        """What is answered above the limit."""
        seconds = float(self.headers(user_id, tier)["X-RateLimit-Reset"])
        amount = self._items[tier].amount
        return TooManyRequests(f"more than {amount} requests in a minute, which {tier} may make", retry_after=seconds)
