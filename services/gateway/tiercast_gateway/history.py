"""What a caller may look back at, and what they have missed."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from tiercast_gateway.callers import Caller
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.ring import RingItem
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.errors import Unavailable

MAX_FOLLOWING = 1000


@dataclass(frozen=True, slots=True)
class Following:
    """Signals directly after a cursor, newest first."""

    items: list[RingItem]
    cursor: str
    """Where to go on."""
    more: bool


class History:
    """Reads a caller's feed from memory and, further back, from ingest's log."""

    def __init__(
        self, feed: SignalFeed, missed: MissedSignals, feed_now: Callable[[str], Feed], verified: Callable[[str], bool]
    ) -> None:
        self._feed = feed
        self._missed = missed
        self._feed_now = feed_now
        self._verified = verified

    def state(self, caller: Caller) -> tuple[str, int]:
        """The cursor at the end of the caller's feed, and where memory begins: while both stay, so does what lies between."""
        feed = caller.entitlement.feed
        return self._feed.cursor(feed), self._feed.rings[feed].floor

    def newest(self, caller: Caller, *, premium_only: bool, limit: int | None = None) -> list[RingItem]:
        """What the caller may browse, newest first: at most `limit`, and no more than the tier has."""
        most = caller.entitlement.history_limit
        newest = self._feed.rings[caller.entitlement.feed].newest()
        wanted = (item for item in newest if item.entry.premium) if premium_only else newest
        return list(islice(wanted, most if limit is None else min(limit, most)))

    async def following(self, caller: Caller, cursor: str, limit: int, *, premium_only: bool) -> Following | None:
        """Up to `limit` (at most 1,000) signals directly after `cursor`; None if what follows it cannot be had whole.

        Raises:
            Unavailable: it has left memory and the log cannot be read, or the caller's tier cannot be verified: premium signals
                might be left out, and the cursor would move past them.
        """
        if not self._verified(caller.user_id):
            raise Unavailable("your tier cannot be verified now")
        feed, limit = caller.entitlement.feed, min(limit, MAX_FOLLOWING)
        resume = self._missed.resume(cursor)
        if resume.problem is not None:
            return None
        found = await self._missed.after(feed, resume.position, limit)
        if found.problem is not None:
            return None
        items = found.items
        if self._feed_now(caller.user_id) is Feed.STANDARD:  # the tier may have changed while the log was asked
            items = [item for item in items if not item.entry.premium]
        more = len(found.items) == limit and self._follows(feed, found.reached)
        last = found.items[-1].cursor if found.items else cursor
        return Following([i for i in reversed(items) if i.entry.premium or not premium_only], last, more)

    def _follows(self, feed: Feed, position: int) -> bool:
        ring = self._feed.rings[feed]
        return position < ring.floor or bool(ring.after(position, self._feed.head, 1))
