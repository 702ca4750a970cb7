"""One client's connection, without its transport."""

from enum import Enum, auto
from typing import Protocol

from tiercast_gateway.audience import Audience, Symbols, Writer
from tiercast_gateway.errors import IllegalTransition
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier


class Wire(Protocol):
    """The transport's side of a connection."""

    congested: bool
    """Whether bytes wait that the socket would not take. Such a connection is not live in the hub: it keeps its position."""

    @property
    def write(self) -> Writer:
        """The way to the socket, while it is not congested."""

    def queue(self, data: bytes | memoryview) -> None:
        """Keep bytes until the socket takes them; it is congested until then, and the hub is told of both."""

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
    AHEAD = auto()
    """It resumes from where this replica has not come to yet; it is taken in when it has."""
    BACKFILLING = auto()
    """It resumes from before the rings begin, and is sent pages of the log."""
    PAUSED = auto()
    """Its transport is full; it keeps its position and costs nothing."""


class Connection:
    """State of one connection. The hub owns `flow`, `position` and `audience`."""

    __slots__ = (
        "ahead_since",
        "audience",
        "connected_at",
        "counting_since",
        "expires_at",
        "expiry_told",
        "feed",
        "flow",
        "frozen",
        "id",
        "issued_at",
        "messages",
        "overruns",
        "position",
        "premium_only_until",
        "replay_until",
        "resume",
        "state",
        "strikes",
        "symbols",
        "tier",
        "user_id",
        "wire",
        "withheld_from",
        "write",
    )

    def __init__(
        self, connection_id: str, wire: Wire, *, symbols: Symbols | None = None, resume: str | None = None
    ) -> None:
        self.id = connection_id
        self.wire = wire
        self.write = wire.write
        """The hub's own way to the socket, without a detour per delivery."""
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
        self.expiry_told = False
        """Whether it was told that its token is about to end."""
        self.connected_at = 0.0
        self.strikes = 0
        """Messages that were not understood."""
        self.messages = 0
        """Messages since `counting_since`, Unix seconds."""
        self.counting_since = 0.0
        self.overruns = 0
        self.feed = Feed.STANDARD
        self.flow = Flow.DETACHED
        self.position = 0
        self.replay_until = 0
        """What it is sent up to this log position is marked as a replay."""
        self.ahead_since = 0.0
        self.withheld_from: int | None = None
        """Where premium signals began to be withheld because the tier could not be verified."""
        self.frozen: str | None = None
        """The cursor of that place, in all its frames meanwhile: whoever resumes from one is owed what was withheld."""
        self.premium_only_until = 0
        """Standard signals up to this log position have been sent already."""
        self.audience: Audience | None = None

    def send(self, frames: bytes) -> None:
        """Send bytes that are whole frames, behind everything sent before."""
        if self.wire.congested:
            self.wire.queue(frames)
            return
        try:
            taken = self.write(frames)
        except OSError:
            taken = 0  # full; or broken, which the transport finds out by itself
        if taken != len(frames):
            self.wire.queue(memoryview(frames)[taken:])

    def become(self, state: State) -> None:
        """Move on in life.

        Raises:
            IllegalTransition: there is no way from here to there.
        """
        if state not in _NEXT[self.state]:
            raise IllegalTransition(f"connection {self.id}: {self.state.name} cannot become {state.name}")
        self.state = state
