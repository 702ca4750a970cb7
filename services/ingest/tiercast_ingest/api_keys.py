"""Who a producer is, by the key that it shows."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader

from tiercast_ingest.domain.reasons import MISSING_KEY, PRODUCER_DISABLED, WRONG_KEY
from tiercast_ingest.intake import Intake, Origin
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_shared.correlation import correlation_id
from tiercast_shared.errors import Rejected

HEADER = "X-API-Key"
SCHEME = APIKeyHeader(name=HEADER, scheme_name=HEADER, auto_error=False)


class ProducerKeys:
    """As a FastAPI dependency it gives the origin of a request, or answers 401 or 403."""

    def __init__(self, producers: ProducerDirectory, intake: Intake) -> None:
        self._producers = producers
        self._intake = intake

    async def __call__(self, request: Request, given: Annotated[str | None, Security(SCHEME)]) -> Origin:
        """The origin of a request.

        Raises:
            Rejected: 401 for a missing or wrong key, 403 for the key of a producer that is disabled.
        """
        producer = self._producers.owner(given) if given is not None else None
        origin = self._intake.origin("http", producer or "", correlation_id(request))
        if error := self._problem(given, producer):
            self._intake.refuse(origin, error)
            raise error
        return origin

    def _problem(self, given: str | None, producer: str | None) -> Rejected | None:
        if given is None:
            return Rejected(401, MISSING_KEY, f"header {HEADER} is missing")
        if producer is None:
            return Rejected(401, WRONG_KEY, f"header {HEADER} is wrong")
        if self._producers.disabled(producer):
            return disabled_producer(producer)
        return None


def disabled_producer(producer: str) -> Rejected:
    """The refusal of whatever a disabled producer sends."""
    return Rejected(403, PRODUCER_DISABLED, f"producer {producer} is disabled")
