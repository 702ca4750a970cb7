"""HTTP: recent signals, from memory."""

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from tiercast_gateway.callers import Caller
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.ring import RingItem
from tiercast_shared.contracts.signals import Signal
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.web import Problem

PRIVATE = "private, no-cache"
"""Answers differ from caller to caller: a cache may keep them for this caller only, and must ask again each time."""

JSON = "application/json"


class SubscribedPage(BaseModel):
    """A page of the signals that a caller may browse, newest first."""

    items: list[Signal]
    total: int
    limit: int
    offset: int
    has_more: bool
    user_tier: Tier


def history_router(feed: SignalFeed, caller: Callable[[Request], Awaitable[Caller]]) -> APIRouter:
    """`/api/v1/signals/latest` and `/api/v1/signals/subscribed`."""
    router = APIRouter(
        prefix="/api/v1/signals", tags=["signals"], responses={401: {"model": Problem}, 422: {"model": Problem}}
    )
    who = Depends(caller)

    def browsable(of: Caller, *, premium_only: bool) -> list[RingItem]:
        newest = feed.rings[of.entitlement.feed].newest()
        return list(islice((i for i in newest if i.entry.premium or not premium_only), of.entitlement.history_limit))

    @router.get("/latest", response_model=list[Signal], responses={304: {"description": "Nothing has changed."}})
    async def latest(
        caller: Annotated[Caller, who],
        limit: Annotated[int, Query(ge=1)] = 10,
        premium_only: bool = False,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The newest signals of the caller's feed, newest first; `limit` is clamped to what the tier may browse."""
        mine = caller.entitlement.feed
        cursor = feed.cursor(mine)
        limit = min(limit, caller.entitlement.history_limit)
        # both feeds end at the same cursor when the last signal is a standard one
        etag = f'"{cursor}.{mine}.{limit}{"p" if premium_only else ""}"'
        headers = {"ETag": etag, "X-Tiercast-Cursor": cursor, "Cache-Control": PRIVATE, "Vary": "Authorization"}
        if if_none_match is not None and etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
            return Response(status_code=304, headers=headers)
        items = browsable(caller, premium_only=premium_only)[:limit]
        return Response(b"[" + b",".join(item.entry.data for item in items) + b"]", headers=headers, media_type=JSON)

    @router.get("/subscribed", response_model=SubscribedPage)
    async def subscribed(
        caller: Annotated[Caller, who],
        limit: Annotated[int, Query(ge=1)] = 50,
        offset: Annotated[int, Query(ge=0)] = 0,
        premium_only: bool = False,
    ) -> Response:
        """A page of the signals that the caller may browse, newest first."""
        limit = min(limit, caller.entitlement.history_limit)
        items = browsable(caller, premium_only=premium_only)
        page = items[offset : offset + limit]
        body = {
            "items": [orjson.Fragment(item.entry.data) for item in page],
            "total": len(items),
            "limit": limit,
            "offset": offset,
            "has_more": offset + len(page) < len(items),
            "user_tier": caller.tier,
        }
        return Response(
            orjson.dumps(body), headers={"Cache-Control": PRIVATE, "Vary": "Authorization"}, media_type=JSON
        )

    return router
