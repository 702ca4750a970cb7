"""What of a feed a connection that is behind is sent, and in which frames. Pure."""

from tiercast_gateway.connection import Connection
from tiercast_gateway.frames import signal_frame
from tiercast_gateway.ring import LogEntry, RingItem


def missed_as(connection: Connection) -> tuple[object, ...]:
    """All of a connection that `wanted` and `missed_frame` look at."""
    return (connection.symbols, connection.frozen, connection.replay_until, connection.premium_only_until)


def wanted(connection: Connection, entry: LogEntry) -> bool:
    """Whether a connection that is behind is to be sent an entry of its feed."""
    if not entry.premium and entry.position <= connection.premium_only_until:
        return False
    return connection.symbols is None or entry.symbol in connection.symbols


def missed_frame(connection: Connection, item: RingItem) -> bytes:
    """The frame of a signal that a connection is sent late."""
    replay = item.entry.position <= connection.replay_until
    return signal_frame(item.seq, connection.frozen or item.cursor, item.entry.data, replay=replay)
