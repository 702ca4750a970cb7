"""One client's connection, without its transport."""

from enum import Enum, auto
from typing import Protocol

from tiercast_gateway.errors import IllegalTransition
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier

Symbols = frozenset[str]


class Wire(Protocol):
    """The transport's side of a connection."""

    def write(self, frames: bytes, /) -> None:
        """Take bytes that are whole frames. Never blocks; a transport that fills up pauses the connection in the hub."""

    def close(self, code: CloseCode, reason: str) -> None:
        """Send a close frame and, once it is out, disconnect. The connection has left the hub before."""

    def ping(self) -> bool:
        """Send a protocol PING; returns whether anything has come since the last one."""


class State(Enum):
    """Where a connection is in its life."""

    AUTHENTICATING = auto()
    """No valid token yet."""
    OPENING = auto()
    """Known user, tier being looked up."""
    OPEN = auto()
    """Told `connected`; in the hub."""
    CLOSED = auto()


_NEXT = {
    State.AUTHENTICATING: {State.OPENING, State.CLOSED},
    State.OPENING: {State.OPEN, State.CLOSED},
    State.OPEN: {State.CLOSED},
    State.CLOSED: set[State](),
}


class Flow(Enum):
    """How signals reach an open connection."""

    DETACHED = auto()
    """Not in the hub."""
    LIVE = auto()
    """Gets every round of the hub as it happens; its position is the hub's."""
    CATCHING_UP = auto()
    """Reads the ring from its own position on."""
    PAUSED = auto()
    """Its transport is full; it keeps its position and costs nothing."""


class Connection:
    """State of one connection. The hub owns `flow`, `position`, `audience` and `round`."""

    __slots__ = (
        "audience",
        "connected_at",
        "expires_at",
        "feed",
        "flow",
        "id",
        "issued_at",
        "overruns",
        "position",
        "replay_until",
        "resume",
        "round",
        "state",
        "strikes",
        "symbols",
        "tier",
        "user_id",
        "wire",
        "write",
    )

    def __init__(
        self, connection_id: str, wire: Wire, *, symbols: Symbols | None = None, resume: str | None = None
    ) -> None:
        self.id = connection_id
        self.wire = wire
        self.write = wire.write
        self.symbols = symbols
        """Only these symbols; None for all."""
        self.resume = resume
        """The cursor that the client came with."""
        self.state = State.AUTHENTICATING
        self.user_id = ""
        self.tier = Tier.STARTER
        self.issued_at = 0.0
        self.expires_at = float("inf")
        """When its token ends, Unix seconds."""
        self.connected_at = 0.0
        self.strikes = 0
        """Messages that were not understood."""
        self.overruns = 0
        self.feed = Feed.STANDARD
        self.flow = Flow.DETACHED
        self.position = 0
        self.replay_until = 0
        """What it is sent up to this log position is marked as a replay."""
        self.round = 0
        self.audience: object | None = None

    def become(self, state: State) -> None:
        """Move on in life.

        Raises:
            IllegalTransition: there is no way from here to there.
        """
        if state not in _NEXT[self.state]:
            raise IllegalTransition(f"connection {self.id}: {self.state.name} cannot become {state.name}")
        self.state = state
