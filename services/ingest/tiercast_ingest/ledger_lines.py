"""The ledger as lines of JSON, from which anybody can verify a chain without trusting us."""

from collections.abc import AsyncIterator

import orjson

from tiercast_ingest.domain.chain_walk import ChainEnds
from tiercast_ingest.ledger_store import LedgerStore, LinkedEntry
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.errors import Unavailable

PAGE = 1000


class ArchivedMeanwhile(Unavailable):
    """Entries that were still to come have been archived."""


async def page(store: LedgerStore, feed: Feed, after: int, limit: int) -> list[bytes]:
    """At most `limit` lines of entries after position `after` of `feed`.

    If entries after `after` were archived, the line of the checkpoint that the chain goes on from comes first.

    Raises:
        ArchivedMeanwhile: the log's beginning moved while it was read.
        StorageUnavailable: the database is away.
    """
    head = await store.whole_head()
    before = await store.ends_at(head.floor)
    if before is None:
        raise ArchivedMeanwhile("the checkpoint of the last archive is missing")
    beginning = position_in(before, feed)
    entries = await store.linked_in_feed(feed, max(after, beginning), limit)
    if (await store.whole_head()).floor > head.floor:
        raise ArchivedMeanwhile("entries are being archived: ask again")
    checkpoint = [checkpoint_line(before, feed)] if after < beginning else []
    return checkpoint + [entry_line(entry, feed) for entry in entries]


async def lines(store: LedgerStore, feed: Feed) -> AsyncIterator[bytes]:
    """The whole chain of `feed`: the checkpoint if something was archived, then every entry.

    Raises:
        ArchivedMeanwhile, StorageUnavailable: as `page`.
    """
    after = 0
    while got := await page(store, feed, after, PAGE):
        for line in got:
            yield line
        after = orjson.loads(got[-1])["seq"]


def position_in(ends: ChainEnds, feed: Feed) -> int:
    """The position within `feed`."""
    return ends.seq if feed is Feed.ALL else ends.standard_seq


def checkpoint_line(ends: ChainEnds, feed: Feed) -> bytes:
    """The line that a chain goes on from: a position and its link, without a body."""
    link = ends.chain if feed is Feed.ALL else ends.standard_chain
    return orjson.dumps({"seq": position_in(ends, feed), "link": link.hex()}) + b"\n"


def entry_line(entry: LinkedEntry, feed: Feed) -> bytes:
    """The line of one entry: its position in `feed`, its body as text, and its link."""
    link = entry.chain if feed is Feed.ALL else entry.standard_chain
    assert link is not None, "the entry is in the feed"
    return orjson.dumps({"seq": _position(entry, feed), "body": entry.body.decode(), "link": link.hex()}) + b"\n"


def _position(entry: LinkedEntry, feed: Feed) -> int:
    position = entry.seq if feed is Feed.ALL else entry.standard_seq
    assert position is not None, "the entry is in the feed"
    return position
