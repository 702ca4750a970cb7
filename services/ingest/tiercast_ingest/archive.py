"""Moves old entries of the log to a file; a checkpoint stays behind, from which both chains go on.

The order makes it safe to stop anywhere: the file is complete and on the disk, then one short transaction moves the log's
beginning, then entries before it are deleted a thousand at a time. What is left over is deleted by the next run.
"""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, cast

import orjson
from sqlalchemy import Table, delete, insert
from sqlalchemy import select as columns
from sqlmodel import col, select

from tiercast_ingest.domain.chain_walk import ChainEnds, ChainWalk
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import (
    ArchivedSignal,
    SignalLogCheckpoint,
    SignalLogEntry,
    SignalLogHead,
)
from tiercast_shared.errors import TiercastError
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.head import lock_head

PAGE = 1000

SIGNAL_LOG = cast("Table", SignalLogEntry.__table__)  # type: ignore[attr-defined]
KEPT = ("seq", "producer", "signal_id", "id", "fingerprint")


class CannotArchive(TiercastError):
    """These entries must stay where they are; nothing was changed."""


async def archive(database: Database, before: int, out: Path) -> int:
    """Move all entries before position `before` to the new file `out`; returns how many.

    Raises:
        CannotArchive: they are not all published, the chains do not hold, there are none, or the file exists.
        StorageUnavailable: the database is away.
    """
    store = SignalStore(database)
    head, publication = await store.whole_head(), await store.publication()
    await _delete_archived(database, head.floor)
    if before - 1 > publication.published:
        raise CannotArchive(f"only entries up to {publication.published} are published")
    if before - 1 <= head.floor:
        raise CannotArchive(f"there is nothing to archive before {before}: the log begins after {head.floor}")
    ends = await _write(store, head, before - 1, out)
    await _move_floor(database, head.floor, ends)
    await _delete_archived(database, ends.seq)
    return ends.seq - head.floor


async def _write(store: SignalStore, head: SignalLogHead, last: int, out: Path) -> ChainEnds:
    start = await store.ends_at(head.floor)
    if start is None:
        raise CannotArchive(f"the checkpoint at {head.floor} is missing")
    try:
        with out.open("xb") as file:
            ends = await _copy(store, head, start, last, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise CannotArchive(f"{out} exists already") from None
    except BaseException as error:
        out.unlink(missing_ok=True)  # noqa: ASYNC240 - a command may block
        if isinstance(error, OSError):
            raise CannotArchive(f"{out}: {error.strerror}") from error
        raise
    return ends


async def _copy(store: SignalStore, head: SignalLogHead, start: ChainEnds, last: int, file: BinaryIO) -> ChainEnds:
    walk = ChainWalk(start)
    file.write(_beginning(head, start))
    async for entry in _entries(store, head.floor, last):
        walk.follow(entry)
        file.write(_line(entry))
    walk.arrive(last, None)
    for found in walk.verdict.breaks:
        raise CannotArchive(f"broken at seq {found.seq}: {found.problem}")
    return walk.ends


async def _entries(store: SignalStore, after: int, last: int) -> AsyncIterator[SignalLogEntry]:
    while after < last:
        _, page = await store.entries_after(after, min(PAGE, last - after))
        if not page:
            return
        for entry in page:
            yield entry
        after = page[-1].seq


def _beginning(head: SignalLogHead, start: ChainEnds) -> bytes:
    return _dumps(
        {
            "epoch": head.epoch,
            "seq": start.seq,
            "link": start.chain.hex(),
            "standard_seq": start.standard_seq,
            "standard_link": start.standard_chain.hex(),
        }
    )


def _line(entry: SignalLogEntry) -> bytes:
    return _dumps(
        {
            "seq": entry.seq,
            "body": entry.body.decode(),
            "link": entry.chain.hex(),
            "standard_seq": entry.standard_seq,
            "standard_link": entry.standard_chain.hex() if entry.standard_chain is not None else None,
            "producer": entry.producer,
            "signal_id": entry.signal_id,
            "hashed_text": entry.hashed_text,
            "fingerprint": entry.fingerprint.hex(),
            "correlation_id": entry.correlation_id,
            "received_at": entry.received_at,
            "committed_at": entry.committed_at,
        }
    )


def _dumps(line: dict[str, object]) -> bytes:
    return orjson.dumps(line) + b"\n"


async def _move_floor(database: Database, floor: int, ends: ChainEnds) -> None:
    async with database.writing() as session:
        head = await lock_head(session, SignalLogHead)
        if head.floor != floor:
            raise CannotArchive("another archive was made at the same time")
        head.floor = ends.seq
        session.add(SignalLogCheckpoint(**ends._asdict(), archived_at=time.time()))


async def _delete_archived(database: Database, floor: int) -> None:
    """Delete what lies before the log's beginning, and keep its names."""
    seq = col(SignalLogEntry.seq)
    while True:
        async with database.writing() as session:
            oldest = select(SignalLogEntry.seq).where(seq <= floor).order_by(seq).limit(PAGE)
            seqs = (await session.exec(oldest)).all()
            if not seqs:
                return
            some = seq <= seqs[-1]
            names = columns(*(SIGNAL_LOG.c[name] for name in KEPT)).where(some)
            await session.exec(insert(ArchivedSignal).from_select(KEPT, names))
            await session.exec(delete(SignalLogEntry).where(some))
