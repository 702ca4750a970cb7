"""The signal log as other services read it (key in `X-Service-Key`)."""

from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import SecretStr

from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogEntry, SignalLogHead
from tiercast_shared.contracts.signals import Feed, SignalLogPage
from tiercast_shared.web import Problem, require_key

MAX_PAGE = 1000
MAX_POSITION = 2**53
"""Positions are JSON numbers, and larger ones are not exact in every reader."""


def log_router(store: SignalStore, service_key: SecretStr) -> APIRouter:
    """`GET /api/v1/log`."""
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

        The end, or the beginning, is reached when fewer than `limit` come.
        """
        if before is None:
            head, entries = await store.entries_after(after, limit, feed)
        else:
            head, entries = await store.entries_before(before, limit, feed)
        return Response(_page(head, entries), media_type="application/json")

    return router


def _page(head: SignalLogHead, entries: Sequence[SignalLogEntry]) -> bytes:
    return orjson.dumps(
        {
            "epoch": head.epoch,
            "head": head.seq,
            "standard_head": head.standard_seq,
            "entries": [
                {
                    "seq": entry.seq,
                    "standard_seq": entry.standard_seq,
                    "feed": entry.feed,
                    "symbol": entry.symbol,
                    "received_at": entry.received_at,
                    "committed_at": entry.committed_at,
                    "data": orjson.Fragment(entry.body),  # the bytes that were published, not read and written again
                }
                for entry in entries
            ],
        }
    )
