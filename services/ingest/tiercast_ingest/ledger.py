"""Checks the log against its hash chains."""

from dataclasses import dataclass

from tiercast_ingest.domain.settlement import LogEnd
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogEntry, SignalLogHead
from tiercast_shared.eventlog.chain import GENESIS, link

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the log found."""

    entries: int
    standard_entries: int
    broken_at: int | None = None
    """First position at which something is wrong."""
    problem: str | None = None


async def verify(store: SignalStore) -> Verdict:
    """Walk the whole log as it is now and recompute both chains.

    Raises:
        StorageUnavailable: the database is away.
    """
    head = await store.whole_head()
    end = LogEnd(0, GENESIS, 0, GENESIS, 0.0)
    while end.seq < head.seq:
        _, entries = await store.entries_after(end.seq, min(PAGE, head.seq - end.seq))
        if not entries:
            return _broken(end, end.seq + 1, "the entry is missing")
        for entry in entries:
            expected = _following(end, entry)
            if problem := _difference(expected, entry):
                return _broken(end, expected.seq, problem)
            end = expected
    if problem := _difference_of_head(end, head):
        return _broken(end, end.seq, problem)
    return Verdict(end.seq, end.standard_seq)


def _following(end: LogEnd, entry: SignalLogEntry) -> LogEnd:
    standard = entry.standard_seq is not None
    return LogEnd(
        seq=end.seq + 1,
        chain=link(end.chain, entry.body),
        standard_seq=end.standard_seq + standard,
        standard_chain=link(end.standard_chain, entry.body) if standard else end.standard_chain,
        server_timestamp=0.0,
    )


def _difference(expected: LogEnd, entry: SignalLogEntry) -> str | None:
    if entry.seq != expected.seq:
        return f"the entry is missing, {entry.seq} follows"
    if entry.chain != expected.chain:
        return "the link of the chain of all signals does not follow from the body"
    if entry.standard_seq is None:
        return None
    if entry.standard_seq != expected.standard_seq:
        return f"the position in the standard feed is {entry.standard_seq}, expected {expected.standard_seq}"
    if entry.standard_chain != expected.standard_chain:
        return "the link of the chain of standard signals does not follow from the body"
    return None


def _difference_of_head(end: LogEnd, head: SignalLogHead) -> str | None:
    if head.chain != end.chain:
        return "the head holds another link of the chain of all signals"
    if (head.standard_seq, head.standard_chain) != (end.standard_seq, end.standard_chain):
        return "the head holds another end of the chain of standard signals"
    return None


def _broken(end: LogEnd, seq: int, problem: str) -> Verdict:
    return Verdict(end.seq, end.standard_seq, seq, problem)
