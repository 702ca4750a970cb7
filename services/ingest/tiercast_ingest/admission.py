"""Refuses submissions while too many signals wait to be published, so that a broker that is away cannot fill the disk."""

from collections.abc import Callable

from tiercast_shared.errors import Unavailable
from tiercast_shared.observability import get_logger

RESUME_FRACTION = 0.5
"""Open again when the backlog is below this part of the limit: not for every single signal that was published."""

RETRY_AFTER_SECONDS = 5.0

log = get_logger()


class Admission:
    """Closed from `limit` signals of backlog on, until it is down to half of that."""

    def __init__(self, backlog: Callable[[], int], limit: int) -> None:
        self._backlog = backlog
        self._limit = limit
        self._closed = False

    def check(self) -> None:
        """Let a submission pass.

        Raises:
            Unavailable: too many signals wait to be published.
        """
        backlog = self._backlog()
        closed = backlog >= (self._limit * RESUME_FRACTION if self._closed else self._limit)
        if closed != self._closed:
            self._closed = closed
            tell = log.warning if closed else log.info
            tell("submissions refused" if closed else "submissions taken again", backlog=backlog, limit=self._limit)
        if closed:
            raise Unavailable(f"{backlog} signals wait to be published", retry_after=RETRY_AFTER_SECONDS)
