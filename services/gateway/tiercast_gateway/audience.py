"""Live connections that are sent the same bytes, and how many sockets are written at once."""

from __future__ import annotations  # connection.py imports this module

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import repeat
from operator import call
from typing import TYPE_CHECKING

from tiercast_shared.contracts.signals import Feed

if TYPE_CHECKING:
    from tiercast_gateway.connection import Connection

Symbols = frozenset[str]

Writer = Callable[[bytes], int]
"""Sends at once and returns how many bytes the socket took; raises OSError when it took none."""


@dataclass(eq=False, slots=True)
class Audience:
    """Live connections that are sent the same bytes."""

    feed: Feed
    symbols: Symbols | None
    frozen: str | None
    """The one cursor of all their frames, while what they are owed is withheld; None where each signal has its own."""
    members: dict[Connection, Writer] = field(default_factory=dict)
    share: Share | None = None
    """What the present round has still to write to members."""
    _listed: tuple[list[Connection], list[Writer]] | None = None

    def join(self, connection: Connection) -> None:
        """A connection is live here from now on."""
        self.members[connection] = connection.write
        self._listed = None

    def leave(self, connection: Connection) -> None:
        """It is not any more."""
        del self.members[connection]
        self._listed = None

    def listed(self) -> tuple[list[Connection], list[Writer]]:
        """Members and their writers, in one order; not to be changed. Made anew only when somebody has joined or left."""
        if self._listed is None:
            self._listed = list(self.members), list(self.members.values())
        return self._listed


class Share:
    """What one audience is sent in one round, in as many turns of the event loop as it takes."""

    __slots__ = ("_at", "_due", "_members", "_writers", "audience", "payload", "signals")

    def __init__(self, audience: Audience, payload: bytes, signals: int) -> None:
        self.audience = audience
        self.payload = payload
        self.signals = signals
        self._members, self._writers = audience.listed()
        self._at = 0
        self._due: set[Connection] | None = (
            None  # made when somebody asks, or leaves, between two turns: most rounds never need it
        )

    @property
    def done(self) -> bool:
        """Whether every member has had its turn."""
        return self._at >= len(self._members)

    def is_due(self, connection: Connection) -> bool:
        """Whether a member has still to be written to. Members that left and joined anew are not: they have been caught up."""
        if self._due is None:
            self._due = set(self._members[self._at :])
        return connection in self._due

    def leave(self, connection: Connection) -> None:
        """Write to this member no more."""
        if self.is_due(connection):
            assert self._due is not None
            self._due.discard(connection)

    def take(self, limit: int) -> tuple[list[Connection], list[Writer]]:
        """The next members, at most `limit`, and their writers; from now on they are not due."""
        step = slice(self._at, self._at + limit)
        self._at += limit
        members, writers = self._members[step], self._writers[step]
        if self._due is not None:
            still = [pair for pair in zip(members, writers, strict=True) if pair[0] in self._due]
            members, writers = [member for member, _ in still], [writer for _, writer in still]
            self._due.difference_update(members)
        return members, writers


def send_to_each(writers: Iterable[Writer], payload: bytes) -> list[int]:
    """Send `payload` through every writer; returns how many bytes each took.

    The loop runs inside `map` and `extend`: at a delivery every few microseconds, bytecode between two system calls costs as much
    as the calls' own entry (measured: 8.3 µs a delivery with a `for` loop, 6.2 with this, docs/decisions/0005).
    """
    taken: list[int] = []
    rest = iter(writers)
    while True:
        try:
            taken.extend(map(call, rest, repeat(payload)))
        except OSError:
            taken.append(0)  # full; or broken, which the transport finds out by itself
        else:
            return taken
