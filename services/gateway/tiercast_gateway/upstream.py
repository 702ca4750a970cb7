"""What the gateway does with the events of both logs, and how it knows that they still come."""

import asyncio
import time
from collections.abc import Callable

from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.refill import SignalRefill
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.tiers import SessionRevoked, TierChanged
from tiercast_shared.observability import get_logger

STALE_SECONDS = 3.0
"""Three beacons missed."""

WATCH_SECONDS = 0.5

log = get_logger()


class Upstream:
    """Feeds the signal feed and the tier cache, and asks the logs for what did not come."""

    def __init__(
        self,
        feed: SignalFeed,
        refill: SignalRefill,
        tiers: TierCache,
        tier_sync: TierSync,
        *,
        on_stale: Callable[[bool], None] = lambda _stale: None,
        on_presence: Callable[[GatewayPresence], None] = lambda _report: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._refill = refill
        self._tiers = tiers
        self._tier_sync = tier_sync
        self._clock = clock
        self._on_stale = on_stale
        self.presence = on_presence
        self._last_beacon = clock()
        self._told_stale = False

    async def watch(self) -> None:
        """Tell when upstream falls silent and when it is back, and ask the log meanwhile; runs until cancelled."""
        while True:
            # while ingest speaks, nothing can be wrong before it has been silent for long enough
            await asyncio.sleep(max(WATCH_SECONDS, STALE_SECONDS - self.silent_seconds))
            if self.stale != self._told_stale:
                self._told_stale = self.stale
                (log.warning if self.stale else log.info)("upstream is silent" if self.stale else "upstream is back")
                self._on_stale(self.stale)
            if self.stale:
                self._refill.needed(look=True)

    @property
    def stale(self) -> bool:
        """Whether ingest has been silent for longer than 3 s."""
        return self.silent_seconds > STALE_SECONDS

    @property
    def silent_seconds(self) -> float:
        """For how long ingest has said nothing."""
        return self._clock() - self._last_beacon

    def signal(self, epoch: str, entry: LogEntry) -> None:
        """A signal was published."""
        # another epoch, or nothing was read yet: only the log itself says which is the present one
        if epoch != self._feed.epoch:
            self._refill.needed(look=True)
            return
        self._feed.offer(entry)
        if self._feed.gap:
            self._refill.needed()

    def signals_beacon(self, beacon: Beacon) -> None:
        """Ingest is alive; a last message that was lost shows here."""
        self._last_beacon = self._clock()
        if beacon.epoch != self._feed.epoch:
            self._refill.needed(look=True)
            return
        self._feed.learn_head(beacon.head)
        if beacon.committed < self._feed.head:
            self._refill.needed(look=True)  # the log is shorter than what was delivered from it: ask itself
        if self._feed.gap:
            self._refill.needed()

    def tier_event(self, epoch: str, event: TierChanged | SessionRevoked) -> None:
        """An entry of the tiers log was published."""
        if self._tiers.epoch and epoch == self._tiers.epoch:
            self._tiers.changed(event)
        else:
            self._tiers.announced(epoch, event.seq)
        self._catch_up_with_tiers(epoch)

    def tiers_beacon(self, beacon: Beacon) -> None:
        """The tiers service is alive; if all its changes were seen, the lease is renewed."""
        shorter = beacon.epoch == self._tiers.epoch and beacon.committed < self._tiers.applied
        if not shorter:
            self._tiers.beacon(beacon.epoch, beacon.head)
        self._catch_up_with_tiers(beacon.epoch, look=shorter)

    def _catch_up_with_tiers(self, epoch: str, *, look: bool = False) -> None:
        # another life, or nothing was read yet, or less than was applied: only the log itself says what is right
        look = look or epoch != self._tiers.epoch
        if look or self._tiers.gap:
            self._tier_sync.catch_up(look=look)

    def consuming(self) -> None:
        """A new queue: whatever was published before it was bound is in the logs."""
        self._refill.needed(look=True)
        self._tier_sync.catch_up(look=True)
