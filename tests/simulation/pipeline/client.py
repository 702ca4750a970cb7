"""A client that takes down what it reads, goes away, comes back with its cursor, and knows what it is owed."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.simulation.pipeline.database import SignalDatabase
from tests.simulation.pipeline.replica import CURSORS, Replica
from tests.unit.gateway.doubles import FakeWire
from tiercast_gateway.connection import Connection

CANARY = b"CANARY"
"""In every premium signal's body."""


class Wire(FakeWire):
    """Has premium signals judged at the moment at which they are written."""

    def __init__(self, client: "Client", replica: Replica) -> None:
        super().__init__()
        self._client = client
        self._replica = replica
        self.begun: list[int] = []
        """Where the hub was each time when it was told `connected` or to resync."""
        self.replica_at = 0
        """Where the replica's feed ended when it was told `connected`: what this replica had then, it can mark as replayed."""

    def write(self, frames: bytes, /) -> int:
        self._judge(frames)
        return super().write(frames)

    def queue(self, data: bytes | memoryview) -> None:
        if isinstance(data, bytes):  # a memoryview is the rest of what was judged when it was written
            self._judge(data)
        super().queue(data)

    def _judge(self, frames: bytes) -> None:
        if CANARY in frames:
            self._client.world.judge_premium(self._client.user, self._replica)
        if b'"type":"connected"' in frames or b'"type":"resync_required"' in frames:
            self.begun.append(self._replica.hub.head)
            self.replica_at = self.replica_at or self._replica.feed.head


@dataclass
class Client:
    """One user's device. `got` holds the positions of the log that it has read."""

    world: Any
    user: str
    log: SignalDatabase
    cursor: str | None = None
    since: int = -1
    """It is owed what follows this position."""
    got: dict[int, int] = field(default_factory=dict)
    told: int = 0
    connection: Connection | None = None
    replica: Replica | None = None
    _wire: Wire | None = None
    _read: int = 0
    _last: int = 0
    _begun: int = 0

    # -- coming and going -------------------------------------------------------------------------

    @property
    def there(self) -> bool:
        return self.connection is not None

    @property
    def wire(self) -> Wire:
        assert self._wire is not None
        return self._wire

    def connect(self, replica: Replica) -> None:
        wire = Wire(self, replica)
        connection = Connection(f"{self.user}@{replica.host.name}", wire, resume=self.cursor)
        wire.on_congested = lambda: replica.sessions.paused(connection)
        wire.on_drained = lambda: replica.sessions.resumed(connection)
        self._wire, self.connection, self.replica = wire, connection, replica
        self._read = self._last = self._begun = 0
        replica.sessions.opened(connection, self.user)

    def leave(self, *, keep: float = 1.0) -> None:
        """Its socket breaks; of what the transport had sent and it had not read, this part still arrives."""
        connection, replica = self.connection, self.replica
        assert connection is not None
        assert replica is not None
        self.read(keep)
        replica.sessions.lost(connection)
        self.connection = self.replica = self._wire = None

    # -- reading ----------------------------------------------------------------------------------

    def read(self, part: float = 1.0) -> None:
        """Take in whole frames that have arrived."""
        wire = self.wire
        end = self._read + int((len(wire.sent) - self._read) * part)
        while (size := _frame_size(wire.sent, self._read)) is not None and self._read + size <= end:
            head = 2 if size < 128 else 4 if size < 65540 else 10
            payload = bytes(wire.sent[self._read + head : self._read + size])
            self._read += size
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        frame = orjson.loads(payload)
        kind = frame["type"]
        if kind == "new_signal":
            self._take_signal(frame, payload)
        elif kind == "connected":
            begun = self._next_begun()
            if self.since < 0 or frame["recovered"] is False:  # which says it even if it is all that arrives
                self.since = max(self.since, begun)
        elif kind == "resync_required":
            self.told += 1
            self.since = max(self.since, self._next_begun())
        self.cursor = frame.get("cursor", self.cursor)

    def _next_begun(self) -> int:
        self._begun += 1
        return self.wire.begun[self._begun - 1]

    def _take_signal(self, frame: dict[str, Any], payload: bytes) -> None:
        entry = self.log.by_id[frame["data"]["id"]]
        assert payload.endswith(entry.body + b"}"), "another body than the log's"
        replay = frame.get("replay", False)
        assert CURSORS.open(frame["cursor"]).position <= entry.seq, "a cursor that leaves something out"
        if not replay:
            # with a cursor that stood still it may have had what this replica had not come to when it came
            twice = entry.seq in self.got and entry.seq <= self.wire.replica_at
            assert not twice, f"{self.user} got {entry.seq} twice, and it was no replay"
            assert entry.seq > self._last, f"{self.user} got {entry.seq} after {self._last}"
            self._last = entry.seq
        self.got[entry.seq] = self.got.get(entry.seq, 0) + 1

    # -- what is owed -----------------------------------------------------------------------------

    def missing(self, *, premium_after: float) -> list[int]:
        """Positions that it has not got; premium ones only after a position (never, if that is infinite)."""
        return [
            entry.seq
            for entry in self.log.entries[max(self.since, 0) :]
            if entry.seq not in self.got and (entry.standard_seq is not None or entry.seq > premium_after)
        ]


def _frame_size(stream: bytearray, at: int) -> int | None:
    if len(stream) < at + 4:
        return None
    assert stream[at] == 0x81, "no whole text frame"
    size = stream[at + 1]
    if size < 126:
        return 2 + size
    if size == 126:
        return 4 + int.from_bytes(stream[at + 2 : at + 4])
    return 10 + int.from_bytes(stream[at + 2 : at + 10])
