"""WebSocket close codes. 4000-4499: reconnect; 4500-4999: do not."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why the gateway closes a socket."""

    DRAINING = 4001
    TOO_SLOW = 4002
    TOKEN_EXPIRED = 4003
    NO_PONG = 4004
    FEED_RECREATED = 4005
    INVALID_TOKEN = 4500
    BAD_REQUEST = 4501
    TOO_MANY_CONNECTIONS = 4502
    AUTH_TIMEOUT = 4503
    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011

    @property
    def reconnect(self) -> bool:
        """Whether a client should come back by itself."""
        return 4000 <= self < 4500 or self is CloseCode.INTERNAL_ERROR
