"""How many signals each producer may send to this replica in a second.

Over HTTP a producer above its limit is told so (429). Over AMQP nobody can be told: its messages wait for their turn, in their
order, while those of others overtake them. They stay unacknowledged, so none is lost, and a replica holds no more of them than its
prefetch: the rest waits in the queue.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from throttled import MemoryStore, RateLimiterType, RateLimitState, Throttled, per_sec

from tiercast_shared.errors import Unavailable

MAX_PRODUCERS = 10_000
"""Producers remembered; over AMQP a name is any that a trusted publisher says."""


class TooManySignals(Unavailable):
    """The producer is above its limit."""

    status = 429
    code = "too_many_requests"


class ProducerLimits:
    """Counts signals by producer. `own` gives a producer's own limit, `default` is everybody else's.

    The generic cell rate algorithm (GCRA): a second's signals may come at once, and what was used comes back evenly.
    """

    def __init__(self, own: Callable[[str], int | None], default: int) -> None:
        self._own = own
        self._default = default
        self._store = MemoryStore(options={"MAX_SIZE": MAX_PRODUCERS})
        self._by_limit: dict[int, Throttled] = {}
        self._waiting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One for each producer whose messages wait, for as long as they do."""

    def check(self, producer: str) -> None:
        """See whether one more signal would be within the limit.

        Raises:
            TooManySignals: it would not.
        """
        state = self._limit(producer).peek(producer)
        if not state.remaining:
            raise _refusal(state)

    def count(self, producer: str) -> None:
        """Count a signal.

        Raises:
            TooManySignals: it is above the limit, and was not counted.
        """
        result = self._limit(producer).limit(producer)
        if result.limited:
            raise _refusal(result.state)

    def admits(self, producer: str) -> bool:
        """Count a signal if it is within the limit and none of the same producer waits; else `turn` is to be awaited."""
        return producer not in self._waiting and not self._limit(producer).limit(producer).limited

    async def turn(self, producer: str) -> None:
        """Wait until a signal is within the limit, first come, first served, and count it."""
        queue = self._waiting.setdefault(producer, asyncio.Lock())
        async with queue:
            while (result := self._limit(producer).limit(producer)).limited:  # noqa: ASYNC110 - only time makes room
                await asyncio.sleep(result.state.retry_after)

    def _limit(self, producer: str) -> Throttled:
        per_second = self._own(producer) or self._default
        limit = self._by_limit.get(per_second)
        if limit is None:
            limit = Throttled(using=RateLimiterType.GCRA.value, quota=per_sec(per_second), store=self._store)
            self._by_limit[per_second] = limit
        return limit


def _refusal(state: RateLimitState) -> TooManySignals:
    return TooManySignals(f"this producer may send {state.limit} signals in a second", retry_after=state.retry_after)
