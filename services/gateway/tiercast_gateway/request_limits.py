"""How many requests each user may make to this replica in a minute, by tier.

The generic cell rate algorithm (GCRA): a minute's requests may come at once, and what was used comes back evenly over the minute.
"""

import math
from collections import Counter
from dataclasses import dataclass

from throttled import MemoryStore, RateLimiterType, Throttled, per_min

from tiercast_gateway.entitlements import Entitlements
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable

MAX_USERS = 100_000
"""Users remembered (about 300 bytes each); whoever asked least recently is forgotten first."""

RawHeaders = list[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""


class TooManyRequests(Unavailable):
    """The user is above the limit."""

    status = 429
    code = "too_many_requests"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands after a request."""

    refusal: TooManyRequests | None
    """What is to be answered, if the request is above the limit."""
    headers: RawHeaders
    """draft-ietf-httpapi-ratelimit-headers, and the names that were usual before it."""


class RequestLimits:
    """Counts requests by user; each tier that a user has within a minute has a count of its own."""

    def __init__(self, entitlements: Entitlements) -> None:
        store = MemoryStore(options={"MAX_SIZE": MAX_USERS})
        self._by_tier = {
            tier: Throttled(
                using=RateLimiterType.GCRA.value,
                quota=per_min(entitlement.requests_per_minute),
                store=store,
                key_prefix=str(tier),
            )
            for tier, entitlement in entitlements.items()
        }
        self.refused: Counter[Tier] = Counter()
        """Requests above the limit so far."""

    def take(self, user_id: str, tier: Tier) -> Standing:
        """Count a request."""
        result = self._by_tier[tier].limit(user_id)
        state = result.state
        # once nothing is left, the time until there is something again says more than that until there is everything
        seconds = math.ceil(state.reset_after if state.remaining else state.retry_after or 60 / state.limit)
        headers = [
            (b"ratelimit-policy", b'"minute";q=%d;w=60' % state.limit),
            (b"ratelimit", b'"minute";r=%d;t=%d' % (state.remaining, seconds)),
            (b"x-ratelimit-limit", b"%d" % state.limit),
            (b"x-ratelimit-remaining", b"%d" % state.remaining),
            (b"x-ratelimit-reset", b"%d" % seconds),
        ]
        if not result.limited:
            return Standing(None, headers)
        self.refused[tier] += 1
        why = f"more than {state.limit} requests in a minute, which {tier} may make"
        return Standing(TooManyRequests(why, retry_after=seconds), headers)
