"""Messages of the event exchanges, understood."""

from collections.abc import Mapping

import orjson
from pydantic import TypeAdapter

from tiercast_gateway.ring import LogEntry
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.tiers import SessionRevoked, TierChanged, TierEvent

_TIER_EVENT: TypeAdapter[TierChanged | SessionRevoked] = TypeAdapter(TierEvent)


class BadEvent(ValueError):
    """A message that is not of the form it says it has."""


def signal_entry(headers: Mapping[str, object], body: bytes, correlation_id: str | None) -> LogEntry:
    """A `signal.published` event. Its body is passed on as it is, unread.

    Raises:
        BadEvent: a header is missing or of another kind.
    """
    try:
        return LogEntry(
            position=_number(headers["seq"]),
            standard_seq=_number(headers["standard_seq"]) if "standard_seq" in headers else None,
            symbol=str(headers["symbol"]),
            data=body,
            received_at=_seconds(headers["received_at"]),
            committed_at=_seconds(headers["committed_at"]),
            published_at=_seconds(headers["published_at"]),
            correlation_id=correlation_id,
        )
    except (KeyError, TypeError) as error:
        raise BadEvent(f"signal.published: {error!r}") from None


def beacon(body: bytes) -> Beacon:
    """A beacon.

    Raises:
        BadEvent: it is malformed.
    """
    try:
        return Beacon.model_validate_json(body)
    except ValueError as error:
        raise BadEvent(f"beacon: {error}") from None


def presence(body: bytes) -> GatewayPresence:
    """A replica's report.

    Raises:
        BadEvent: it is malformed.
    """
    try:
        return GatewayPresence.model_validate_json(body)
    except ValueError as error:
        raise BadEvent(f"gateway.presence: {error}") from None


def tier_event(body: bytes) -> TierChanged | SessionRevoked:
    """A `tier.changed` or `session.revoked` event.

    Raises:
        BadEvent: it is malformed.
    """
    try:
        return _TIER_EVENT.validate_python(orjson.loads(body))
    except ValueError as error:
        raise BadEvent(f"tiers event: {error}") from None


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(value)
    return float(value)
