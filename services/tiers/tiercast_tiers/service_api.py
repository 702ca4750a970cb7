"""The API for other services (key in `X-Service-Key`): the log from a position on, and many users at once."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import SecretStr

from tiercast_shared.contracts.tiers import TierChangePage, TierLookup, TierLookupRequest
from tiercast_shared.web import json_body, json_body_schema, require_key
from tiercast_tiers.api import MAX_POSITION, PROBLEMS
from tiercast_tiers.domain import UserState
from tiercast_tiers.metrics import TiersMetrics
from tiercast_tiers.store import TierStore

LOOKUP_BODY_LIMIT = 512 * 1024
PAGE = 1000


def service_router(store: TierStore, metrics: TiersMetrics, key: SecretStr) -> APIRouter:
    """`/api/v1/changes` and `/api/v1/tiers/lookup`."""
    router = APIRouter(
        prefix="/api/v1",
        tags=["services"],
        dependencies=[Depends(require_key("X-Service-Key", key))],
        responses=PROBLEMS,
    )

    @router.get("/changes", response_model=TierChangePage)
    async def get_changes(
        after: Annotated[int, Query(ge=0, le=MAX_POSITION)], limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE
    ) -> Response:
        """Entries of the tiers log after a position, in order, without a gap."""
        head, entries = await store.entries_after(after, limit)
        # the stored bytes go out as they are: they are what was published and what the chain commits to
        rendered = b",".join(b'{"seq":%d,"data":%b}' % (entry.seq, entry.body) for entry in entries)
        body = b'{"epoch":%b,"head":%d,"entries":[%b]}' % (orjson.dumps(head.epoch), head.seq, rendered)
        return Response(body, media_type="application/json")

    @router.post("/tiers/lookup", response_model=TierLookup, openapi_extra=json_body_schema(TierLookupRequest))
    async def look_up(
        body: Annotated[TierLookupRequest, Depends(json_body(TierLookupRequest, LOOKUP_BODY_LIMIT))],
    ) -> Response:
        """Tiers of up to 1000 users as they are at `head`; those nobody has heard of are starters."""
        head, known = await store.users(set(body.user_ids))
        unknown = UserState()
        tiers = {user_id: _state(known.get(user_id, unknown)) for user_id in body.user_ids}
        metrics.lookups.inc()
        metrics.users_looked_up.inc(len(tiers))
        answer = {"epoch": head.epoch, "head": head.seq, "tiers": tiers}
        return Response(orjson.dumps(answer), media_type="application/json")

    return router


def _state(user: UserState) -> dict[str, object]:
    return {"tier": user.tier, "version": user.version, "tokens_valid_after": user.tokens_valid_after}
