"""Checks the log against its hash chains, as much of it at a time as is asked for."""

from dataclasses import dataclass

from tiercast_ingest.domain.chain_walk import Break, ChainEnds, ChainWalk, Verdict
from tiercast_ingest.ledger_store import LedgerStore
from tiercast_ingest.tables import SignalLogHead

PAGE = 1000
MAX_POSITION = 2**53
"""Positions are JSON numbers, and larger ones are not exact in every reader."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on entries `start` to `end`; the link before `start` was taken for right."""

    head: SignalLogHead
    start: int
    end: int
    verdict: Verdict


async def verify(store: LedgerStore) -> Verdict:
    """Recompute both chains over all that the log holds now.

    Raises:
        StorageUnavailable: the database is away.
    """
    return (await verify_range(store)).verdict


async def verify_range(
    store: LedgerStore, start: int = 1, end: int = MAX_POSITION, *, most: int = MAX_POSITION
) -> Verification:
    """Recompute both chains from position `start` to `end`, at most `most` entries of what the log holds now.

    What is archived is left out. If the end of the log is reached, it is compared with the head.

    Raises:
        StorageUnavailable: the database is away.
    """
    while True:
        found = await _verify(store, start, end, most)
        if found.verdict.broken_at is None or (await store.whole_head()).floor < found.start:
            return found
        # entries were archived meanwhile: once more from where the log begins now


async def _verify(store: LedgerStore, start: int, end: int, most: int) -> Verification:
    head = await store.whole_head()
    first = min(max(start, head.floor + 1), head.seq + 1)
    last = max(min(end, head.seq, first + most - 1), first - 1)
    before = await store.ends_at(first - 1)
    if before is None:
        missing = Break(first - 1, "the entry is missing")
        return Verification(head, first, last, Verdict(0, 0, missing, missing))
    walk = ChainWalk(before)
    while walk.ends.seq < last and (page := await store.linked_between(walk.ends.seq, last, PAGE)):
        for entry in page:
            walk.follow(entry)
    walk.arrive(last, _ends(head) if last == head.seq else None)
    return Verification(head, first, last, walk.verdict)


def _ends(head: SignalLogHead) -> ChainEnds:
    return ChainEnds(head.seq, head.chain, head.standard_seq, head.standard_chain)
