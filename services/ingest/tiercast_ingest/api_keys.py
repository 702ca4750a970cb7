"""Who a producer is, by the key that it shows."""

import hmac
from collections.abc import Mapping
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader
from pydantic import SecretStr

from tiercast_ingest.domain.reasons import MISSING_KEY, WRONG_KEY
from tiercast_ingest.intake import Intake, Origin
from tiercast_shared.correlation import correlation_id
from tiercast_shared.errors import Rejected

HEADER = "X-API-Key"
SCHEME = APIKeyHeader(name=HEADER, scheme_name=HEADER, auto_error=False)


class ProducerKeys:
    """The keys of all producers; as a FastAPI dependency it answers 401, or gives the origin of the request."""

    def __init__(self, keys: Mapping[str, SecretStr], intake: Intake) -> None:
        self._keys = [(producer, key.get_secret_value().encode()) for producer, key in keys.items()]
        self._intake = intake

    async def __call__(self, request: Request, given: Annotated[str | None, Security(SCHEME)]) -> Origin:
        """The origin of a request.

        Raises:
            Rejected: 401 for a missing or wrong key.
        """
        producer = self.producer(given) if given is not None else None
        origin = self._intake.origin("http", producer or "", correlation_id(request))
        if producer is None:
            problem = (MISSING_KEY, "is missing") if given is None else (WRONG_KEY, "is wrong")
            error = Rejected(401, problem[0], f"header {HEADER} {problem[1]}")
            self._intake.refuse(origin, error)
            raise error
        return origin

    def producer(self, given: str) -> str | None:
        """Whose key this is. Every key is compared, in constant time, so that the answer's delay tells nothing."""
        shown = given.encode()
        matching = [producer for producer, key in self._keys if hmac.compare_digest(shown, key)]
        return matching[0] if matching else None
