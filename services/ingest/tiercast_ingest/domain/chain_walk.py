"""Follows both hash chains along the log, and finds for each the first position at which it does not hold."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tiercast_shared.eventlog.chain import GENESIS, link


class Linked(Protocol):
    """What of an entry is chained."""

    @property
    def seq(self) -> int: ...  # noqa: D102 - as in the tables
    @property
    def body(self) -> bytes: ...  # noqa: D102
    @property
    def chain(self) -> bytes: ...  # noqa: D102
    @property
    def standard_seq(self) -> int | None: ...  # noqa: D102
    @property
    def standard_chain(self) -> bytes | None: ...  # noqa: D102


class ChainEnds(NamedTuple):
    """The last position and link of both chains, at some position of the log."""

    seq: int
    chain: bytes
    standard_seq: int
    standard_chain: bytes


BEGINNING = ChainEnds(0, GENESIS, 0, GENESIS)
"""Before the first entry of a log."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first position (of the whole log) at which a chain does not hold, and why."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found: how many entries it saw, and where either chain broke."""

    entries: int
    standard_entries: int
    all: Break | None = None
    standard: Break | None = None

    @property
    def breaks(self) -> list[Break]:
        """What is broken, in order; at most one break for each chain."""
        return sorted((found for found in (self.all, self.standard) if found is not None), key=lambda found: found.seq)

    @property
    def broken_at(self) -> int | None:
        """The first position at which anything is wrong."""
        return self.breaks[0].seq if self.breaks else None

    @property
    def problem(self) -> str | None:
        """What is wrong there."""
        return self.breaks[0].problem if self.breaks else None


class ChainWalk:
    """A walk from `start`, whose links are taken for right."""

    def __init__(self, start: ChainEnds) -> None:
        self._ends = start
        self._verdict = Verdict(0, 0)

    @property
    def ends(self) -> ChainEnds:
        """Where the walk stands, and the links that belong there."""
        return self._ends

    @property
    def verdict(self) -> Verdict:
        """What was found so far."""
        return self._verdict

    def follow(self, entry: Linked) -> None:
        """Look at the next entry. After its first break a chain is not looked at any more."""
        verdict, ends = self._verdict, self._ends
        standard = entry.standard_seq is not None
        self._verdict = Verdict(
            verdict.entries + 1,
            verdict.standard_entries + standard,
            verdict.all or _break_of_all(ends, entry),
            verdict.standard or _break_of_standard(ends, entry),
        )
        self._ends = ChainEnds(
            entry.seq,
            link(ends.chain, entry.body),
            ends.standard_seq + standard,
            link(ends.standard_chain, entry.body) if standard else ends.standard_chain,
        )

    def arrive(self, seq: int, head: ChainEnds | None) -> None:
        """Note that nothing more comes up to position `seq`; if the log ends there, compare with its head."""
        found = self._verdict
        self._verdict = replace(
            found,
            all=found.all or _break_at_end(self._ends, seq, head),
            standard=found.standard or (_break_of_standard_head(self._ends, head) if head else None),
        )


def _break_of_all(ends: ChainEnds, entry: Linked) -> Break | None:
    if entry.seq != ends.seq + 1:
        return Break(ends.seq + 1, f"the entry is missing, {entry.seq} follows")
    if entry.chain != link(ends.chain, entry.body):
        return Break(entry.seq, "the link of the chain of all signals does not follow from the body")
    return None


def _break_of_standard(ends: ChainEnds, entry: Linked) -> Break | None:
    if entry.standard_seq is None:
        return None
    expected = ends.standard_seq + 1
    if entry.standard_seq != expected:
        return Break(entry.seq, f"the position in the standard feed is {entry.standard_seq}, expected {expected}")
    if entry.standard_chain != link(ends.standard_chain, entry.body):
        return Break(entry.seq, "the link of the chain of standard signals does not follow from the body")
    return None


def _break_at_end(ends: ChainEnds, seq: int, head: ChainEnds | None) -> Break | None:
    if ends.seq < seq:
        return Break(ends.seq + 1, "the entry is missing")
    if head and ends.chain != head.chain:
        return Break(seq, "the head holds another link of the chain of all signals")
    return None


def _break_of_standard_head(ends: ChainEnds, head: ChainEnds) -> Break | None:
    if (ends.standard_seq, ends.standard_chain) == (head.standard_seq, head.standard_chain):
        return None
    return Break(head.seq, "the head holds another end of the chain of standard signals")
