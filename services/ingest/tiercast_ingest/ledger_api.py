"""The ledger as other services read it (key in `X-Service-Key`)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import SecretStr

from tiercast_ingest import ledger_lines
from tiercast_ingest.domain.chain_walk import Break
from tiercast_ingest.ledger import MAX_POSITION, verify_range
from tiercast_ingest.ledger_store import LedgerStore
from tiercast_shared.contracts.ledger import ChainVerdict, LedgerHead, LedgerVerification
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.web import Problem, require_key

MAX_VERIFIED = 5000
"""Entries verified in one request, about 100 ms; the answer says where to go on."""

MAX_LINES = 1000
NDJSON = "application/x-ndjson"
PROBLEMS: dict[int | str, dict[str, Any]] = {401: {"model": Problem}, 422: {"model": Problem}, 503: {"model": Problem}}

Position = Annotated[int, Query(ge=0, le=MAX_POSITION)]


def ledger_router(store: LedgerStore, service_key: SecretStr) -> APIRouter:
    """`GET /api/v1/ledger/…`."""
    router = APIRouter(
        prefix="/api/v1/ledger",
        tags=["services"],
        dependencies=[Depends(require_key("X-Service-Key", service_key))],
        responses=PROBLEMS,
    )

    @router.get("/head")
    async def head() -> LedgerHead:
        """The end of both chains."""
        row = await store.whole_head()
        return LedgerHead(
            epoch=row.epoch,
            seq=row.seq,
            chain=row.chain.hex(),
            standard_seq=row.standard_seq,
            standard_chain=row.standard_chain.hex(),
            floor=row.floor,
        )

    @router.get("/verify")
    async def verify(
        start: Annotated[
            int, Query(alias="from", ge=1, le=MAX_POSITION, description="The link before it is taken for right.")
        ] = 1,
        end: Annotated[int, Query(alias="to", ge=1, le=MAX_POSITION)] = MAX_POSITION,
    ) -> LedgerVerification:
        """Recompute both chains; at most 5000 entries at a time, and `next` is where to go on."""
        found = await verify_range(store, start, end, most=MAX_VERIFIED)
        return LedgerVerification(
            epoch=found.head.epoch,
            floor=found.head.floor,
            first=found.start,
            last=found.end,
            entries=found.verdict.entries,
            standard_entries=found.verdict.standard_entries,
            next=found.end + 1 if found.end < min(end, found.head.seq) else None,
            all=_told(found.verdict.all),
            standard=_told(found.verdict.standard),
        )

    @router.get("/entries", response_class=Response, responses={200: {"content": {NDJSON: {}}}})
    async def entries(
        feed: Feed = Feed.ALL, after: Position = 0, limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = MAX_LINES
    ) -> Response:
        """Lines of JSON: position within the feed, body as text, link; none when the end is reached.

        If entries after `after` were archived, a line without a body comes first: the checkpoint that the chain goes on from.
        """
        return Response(b"".join(await ledger_lines.page(store, feed, after, limit)), media_type=NDJSON)

    return router


def _told(found: Break | None) -> ChainVerdict:
    return ChainVerdict() if found is None else ChainVerdict(broken_at=found.seq, problem=found.problem)
