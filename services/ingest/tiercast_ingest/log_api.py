"""The signal log as other services read it (key in `X-Service-Key`)."""

from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import SecretStr

from tiercast_ingest.domain.chain_walk import ChainEnds
from tiercast_ingest.ledger import MAX_POSITION
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogEntry, SignalLogHead
from tiercast_shared.contracts.ledger import SignalProof
from tiercast_shared.contracts.signals import Feed, SignalLogPage
from tiercast_shared.errors import Rejected
from tiercast_shared.web import Problem, require_key

MAX_PAGE = 1000


def log_router(store: SignalStore, service_key: SecretStr) -> APIRouter:
    """`GET /api/v1/log` and `GET /api/v1/log/{id}`."""
    router = APIRouter(
        prefix="/api/v1", tags=["services"], dependencies=[Depends(require_key("X-Service-Key", service_key))]
    )

    @router.get(
        "/log",
        response_class=Response,
        responses={
            200: {"model": SignalLogPage},
            401: {"model": Problem},
            422: {"model": Problem},
            503: {"model": Problem},
        },
    )
    async def log(
        after: Annotated[
            int, Query(ge=0, le=MAX_POSITION, description="Position (of the whole log) to start after.")
        ] = 0,
        before: Annotated[
            int | None,
            Query(ge=1, le=MAX_POSITION, description="Instead of `after`: the last entries before a position."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
        feed: Annotated[Feed, Query(description="`standard` leaves premium signals out.")] = Feed.ALL,
    ) -> Response:
        """Entries after a position, or the last ones before it, in order and without a gap.

        The end, or the beginning, is reached when fewer than `limit` come. What lies at `floor` or before it is archived: an
        answer to a question that reaches there is not complete.
        """
        if before is None:
            head, entries = await store.entries_after(after, limit, feed)
        else:
            head, entries = await store.entries_before(before, limit, feed)
        return Response(_page(head, entries), media_type="application/json")

    @router.get(
        "/log/{wire_id}",
        response_class=Response,
        responses={
            200: {"model": SignalProof},
            401: {"model": Problem},
            404: {"model": Problem, "description": "There is no signal of this id"},
            410: {"model": Problem, "description": "The signal was archived"},
            503: {"model": Problem},
        },
    )
    async def entry(wire_id: str) -> Response:
        """One signal by its id on the wire, with the text that its producer hashed and both chains' links around it."""
        found = await store.entry(wire_id)
        if found is None:
            raise await _not_found(store, wire_id)
        return Response(_proof(*found), media_type="application/json")

    return router


async def _not_found(store: SignalStore, wire_id: str) -> Rejected:
    seq = await store.archived_at(wire_id)
    if seq is None:
        return Rejected(404, "unknown_signal", "there is no signal of this id")
    return Rejected(410, "archived", f"the signal was archived; its position is {seq}")


def _proof(head: SignalLogHead, entry: SignalLogEntry, before: ChainEnds) -> bytes:
    return orjson.dumps(
        {
            "epoch": head.epoch,
            **_place(entry),
            "hashed_text": entry.hashed_text,
            "all": {"before": before.chain.hex(), "after": entry.chain.hex()},
            "standard": {"before": before.standard_chain.hex(), "after": entry.standard_chain.hex()}
            if entry.standard_chain is not None
            else None,
            "data": orjson.Fragment(entry.body),
        }
    )


def _page(head: SignalLogHead, entries: Sequence[SignalLogEntry]) -> bytes:
    return orjson.dumps(
        {
            "epoch": head.epoch,
            "head": head.seq,
            "standard_head": head.standard_seq,
            "floor": head.floor,
            "entries": [
                # the bytes that were published, not read and written again
                {**_place(entry), "data": orjson.Fragment(entry.body)}
                for entry in entries
            ],
        }
    )


def _place(entry: SignalLogEntry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "standard_seq": entry.standard_seq,
        "feed": entry.feed,
        "symbol": entry.symbol,
        "received_at": entry.received_at,
        "committed_at": entry.committed_at,
    }
