"""The publisher's sign of life on the exchange that it feeds."""

from tiercast_shared.contracts.base import Beacon
from tiercast_shared.messaging.broker import OutgoingEvent

BEACON = "beacon"
BEACON_SECONDS = 1.0


def beacon_event(beacon: Beacon) -> OutgoingEvent:
    """The message that carries `beacon`."""
    return OutgoingEvent(body=beacon.model_dump_json().encode(), headers={"type": BEACON}, type=BEACON)
