"""Which connections there are: by user, by tier, without a token yet, and on their way out. Pure."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from tiercast_gateway.connection import Connection, State
from tiercast_gateway.connection_limits import ConnectionLimits
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.tier_cache import TierCache
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import ErrorFrame
from tiercast_shared.contracts.tiers import Tier


class Registry:
    """All connections of this replica, from their first moment to their last."""

    def __init__(self, hub: Hub, tiers: TierCache, limits: ConnectionLimits) -> None:
        self._hub = hub
        self._limits = limits
        self._tiers = tiers
        self._connections: dict[Connection, None] = {}
        self._anonymous: dict[Connection, None] = {}
        self._leaving: dict[Connection, None] = {}
        self._by_user: dict[str, dict[Connection, None]] = {}
        self._by_tier: dict[Tier, int] = dict.fromkeys(Tier, 0)
        self.closes: Counter[CloseCode] = Counter()
        """Sockets that this replica has closed so far, by code."""

    # -- who is there ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections))

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def open_ones(self) -> list[Connection]:
        """Those that were told `connected`."""
        return [connection for connection in self._connections if connection.state is State.OPEN]

    @property
    def anonymous(self) -> list[Connection]:
        """Those without a token yet."""
        return list(self._anonymous)

    @property
    def users(self) -> list[str]:
        """Users with at least one connection."""
        return list(self._by_user)

    def of(self, user_id: str) -> list[Connection]:
        """A user's connections, oldest first."""
        return list(self._by_user.get(user_id, ()))

    @property
    def leaving(self) -> int:
        """Sockets that were sent a close frame and are still there."""
        return len(self._leaving)

    @property
    def by_tier(self) -> dict[Tier, int]:
        """Open connections by tier."""
        return dict(self._by_tier)

    # -- what becomes of them --------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        """A socket is there; nobody knows whose."""
        self._connections[connection] = None
        self._anonymous[connection] = None

    def identified(self, connection: Connection, user_id: str) -> None:
        """It is this user's; the tier cache remembers the user for as long as it lasts."""
        connection.user_id = user_id
        connection.become(State.OPENING)
        del self._anonymous[connection]
        self._by_user.setdefault(user_id, {})[connection] = None
        self._tiers.connect(user_id)

    def opened(self, connection: Connection, tier: Tier) -> None:
        """It is served, as `tier`."""
        connection.become(State.OPEN)
        connection.tier = tier
        self._by_tier[tier] += 1
        self._limits.opened(connection.user_id, connection, tier, partial(self.turn_away, connection))

    def moved(self, connection: Connection, tier: Tier) -> None:
        """An open one is served as another tier from now on."""
        self._by_tier[connection.tier] -= 1
        self._by_tier[tier] += 1
        connection.tier = tier
        self._limits.presence.moved(connection.user_id, tier)

    def turn_away(self, connection: Connection) -> None:
        """Its user has too many connections. The code says not to come back by itself: two devices would push each other out."""
        self.close(
            connection,
            CloseCode.TOO_MANY_CONNECTIONS,
            "too many connections of this user",
            error="too_many_connections",
        )

    def close(self, connection: Connection, code: CloseCode, reason: str, *, error: str | None = None) -> None:
        """End it: out of the hub first, then an `error` frame that says why, then the close frame."""
        if connection.state is State.CLOSED:
            return
        self._forget(connection)
        self.closes[code] += 1
        if error is not None:
            connection.send(encode(ErrorFrame(code=error, message=reason)))
        self._leaving[connection] = None
        connection.wire.close(code, reason)

    def lost(self, connection: Connection) -> None:
        """Its transport is gone."""
        self._forget(connection)
        self._leaving.pop(connection, None)

    def _forget(self, connection: Connection) -> None:
        if connection.state is State.CLOSED:
            return
        self._hub.detach(connection)
        if connection.state is State.OPEN:
            self._by_tier[connection.tier] -= 1
            self._limits.presence.closed(connection.user_id, connection)
        connection.become(State.CLOSED)
        self._connections.pop(connection, None)
        self._anonymous.pop(connection, None)
        if connection.user_id:
            mine = self._by_user[connection.user_id]
            del mine[connection]
            if not mine:
                del self._by_user[connection.user_id]
            self._tiers.disconnect(connection.user_id)
