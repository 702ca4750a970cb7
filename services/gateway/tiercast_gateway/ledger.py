"""Proofs: a client verifies its own chain, and the place of a signal in it, without trusting the server.

Nothing here tells of the other chain: a client of the standard feed sees standard positions and links only, and a premium signal
is as unknown to it as one that never was.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from tiercast_gateway.callers import Caller
from tiercast_gateway.clients import IngestClient
from tiercast_shared.contracts.ledger import ChainNeighbours
from tiercast_shared.contracts.signals import Feed, Signal
from tiercast_shared.errors import Rejected
from tiercast_shared.web import Problem

NDJSON = "application/x-ndjson"
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}


class Proof(BaseModel):
    """One signal, with all that proves its place in the caller's chain."""

    feed: Feed
    seq: int = Field(description="Position in the caller's feed.")
    hashed_text: str = Field(description="What the producer's SHA-256 (`data.hash`) was taken over.")
    body: str = Field(description="The text that the link was taken over; `data` is the same, parsed.")
    chain: ChainNeighbours
    data: Signal


def ledger_router(
    log: IngestClient, feed_now: Callable[[str], Feed], caller: Callable[[Request], Awaitable[Caller]]
) -> APIRouter:
    """`GET /api/v1/signals/{id}/proof` and `GET /api/v1/ledger`."""
    router = APIRouter(
        prefix="/api/v1",
        tags=["ledger"],
        responses={status: {"model": Problem} for status in (401, 403, 422, 429, 503)},
    )
    who = Depends(caller)

    @router.get("/signals/{signal_id}/proof", response_model=Proof, responses={404: {"model": Problem}})
    async def proof(caller: Annotated[Caller, who], signal_id: UUID) -> Response:
        """What proves a signal's place in the caller's chain: `after` = SHA-256(`before` ‖ SHA-256(`body`))."""
        found = await log.entry(str(signal_id))
        shown = None if found is None else _shown(found, feed_now(caller.user_id))
        if shown is None:
            raise Rejected(404, "unknown_signal", "there is no signal of this id")
        return Response(orjson.dumps(shown), headers=PRIVATE, media_type="application/json")

    @router.get("/ledger", response_class=Response, responses={200: {"content": {NDJSON: {}}}})
    async def ledger(caller: Annotated[Caller, who], after: Annotated[int, Query(ge=0, le=2**53)] = 0) -> Response:
        """The caller's whole chain after a position of their feed, as lines of JSON: position, body as text, link.

        If the beginning was archived, a line without a body comes first: the checkpoint that the chain goes on from.
        """
        feed = feed_now(caller.user_id)
        first = await log.ledger(feed, after)
        lines = _lines(log, feed, first, lambda: feed_now(caller.user_id) is feed)
        return StreamingResponse(lines, headers=PRIVATE, media_type=NDJSON)

    return router


def _shown(found: dict[str, Any], feed: Feed) -> dict[str, Any] | None:
    """What a reader of `feed` may see of an entry as ingest gives it; None if it is not in that feed."""
    seq, chain = (found["seq"], found["all"]) if feed is Feed.ALL else (found["standard_seq"], found["standard"])
    if chain is None:
        return None
    body = orjson.dumps(found["data"])  # the bytes that ingest rendered: it uses the same serialiser
    return {
        "feed": feed,
        "seq": seq,
        "hashed_text": found["hashed_text"],
        "body": body.decode(),
        "chain": chain,
        "data": orjson.Fragment(body),
    }


async def _lines(log: IngestClient, feed: Feed, page: bytes, entitled: Callable[[], bool]) -> AsyncIterator[bytes]:
    while page and entitled():
        yield page
        last = orjson.loads(page.rstrip().rpartition(b"\n")[2])["seq"]
        page = await log.ledger(feed, last)
