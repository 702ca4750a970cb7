"""Upgrades wait in a line, so that a storm of them does not hold up those who are being served.

A signal takes a handful of turns of the event loop from the broker to the sockets. If each turn first handled every upgrade that
has come, a hundred at 0.3 ms, that would be a tenth of a second for everyone.
"""

import time
from collections import deque
from collections.abc import Callable

SECONDS_PER_TURN = 0.002
"""Spent on upgrades between two turns of the event loop; at least one is handled."""


class UpgradeLine:
    """Runs what joins it, in order, a little at a time."""

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        *,
        seconds_per_turn: float = SECONDS_PER_TURN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call_soon = call_soon
        self._seconds_per_turn = seconds_per_turn
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        """Upgrades that wait."""
        return len(self._waiting)

    def join(self, upgrade: Callable[[], None]) -> None:
        """Run `upgrade` when its turn comes, and never in this very step."""
        self._waiting.append(upgrade)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        end = self._clock() + self._seconds_per_turn
        self._scheduled = False
        try:
            while self._waiting:
                self._waiting.popleft()()
                if self._clock() >= end:
                    break
        finally:  # one that fails is the loop's to tell of, and holds up nobody
            if self._waiting:
                self._schedule()
