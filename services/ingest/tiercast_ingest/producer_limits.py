"""How many signals each producer may send to this replica in a second.

Over HTTP a producer above its limit is told so (429). Over AMQP nobody can be told: its messages wait for their turn, in their
order, while those of others overtake them. They stay unacknowledged, so none is lost, and a replica holds no more of them than its
prefetch: the rest waits in the queue.
"""

import asyncio
import time
from collections.abc import Callable
from functools import cache
from weakref import WeakValueDictionary

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from tiercast_shared.errors import Unavailable


class TooManySignals(Unavailable):
    """The producer is above its limit."""

    status = 429
    code = "too_many_requests"


class ProducerLimits:
    """Counts signals by producer. `own` gives a producer's own limit, `default` is everybody else's."""

    def __init__(self, own: Callable[[str], int | None], default: int) -> None:
        self._own = own
        self._default = default
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._waiting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One for each producer whose messages wait, for as long as they do."""

    def check(self, producer: str) -> None:
        """See whether one more signal would be within the limit.

        Raises:
            TooManySignals: it would not.
        """
        if not self._limiter.test(self._item(producer), producer):
            raise self._refusal(producer)

    def count(self, producer: str) -> None:
        """Count a signal.

        Raises:
            TooManySignals: it is above the limit, and was not counted.
        """
        if not self._limiter.hit(self._item(producer), producer):
            raise self._refusal(producer)

    def admits(self, producer: str) -> bool:
        """Count a signal if it is within the limit and none of the same producer waits; else `turn` is to be awaited."""
        return producer not in self._waiting and self._limiter.hit(self._item(producer), producer)

    async def turn(self, producer: str) -> None:
        """Wait until a signal is within the limit, first come, first served, and count it."""
        queue = self._waiting.setdefault(producer, asyncio.Lock())
        async with queue:
            while not self._limiter.hit(self._item(producer), producer):  # noqa: ASYNC110 - only time opens a window
                await asyncio.sleep(self._seconds_left(producer))

    def _item(self, producer: str) -> RateLimitItemPerSecond:
        return _per_second(self._own(producer) or self._default)

    def _seconds_left(self, producer: str) -> float:
        return max(0.0, self._limiter.get_window_stats(self._item(producer), producer).reset_time - time.time())

    def _refusal(self, producer: str) -> TooManySignals:
        item = self._item(producer)
        return TooManySignals(
            f"this producer may send {item.amount} signals in a second", retry_after=self._seconds_left(producer)
        )


@cache
def _per_second(amount: int) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(amount)
