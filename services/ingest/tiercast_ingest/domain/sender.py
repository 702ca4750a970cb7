"""Who the producer of a message is."""

from collections.abc import Collection, Mapping

from tiercast_ingest.domain.reasons import INVALID_PRODUCER, NO_USER_ID
from tiercast_shared.errors import Rejected

PRODUCER_HEADER = "x-producer"
MAX_PRODUCER = 255


def producer_of(user_id: str | None, headers: Mapping[str, object], trusted: Collection[str]) -> str:
    """The broker user who published it (the broker has checked `user_id`), or whom a trusted one names in `x-producer`.

    Raises:
        Rejected: nobody is named, or in a way that cannot be a name.
    """
    if not user_id:
        raise Rejected.field("user_id", "is required as an AMQP property, equal to the broker user", code=NO_USER_ID)
    if user_id not in trusted or PRODUCER_HEADER not in headers:
        return user_id
    named = headers[PRODUCER_HEADER]
    if not isinstance(named, str) or not 1 <= len(named) <= MAX_PRODUCER or "\0" in named:
        raise Rejected.field(PRODUCER_HEADER, f"must be text of 1 to {MAX_PRODUCER} characters", code=INVALID_PRODUCER)
    return named
