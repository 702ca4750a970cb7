"""HTTP: recent signals, missed signals, and the stream of server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel

from tiercast_gateway.callers import Caller
from tiercast_gateway.history import History
from tiercast_gateway.latest import JSON, PRIVATE, Latest, array, raw
from tiercast_gateway.polling import DEFAULT_LIMIT
from tiercast_gateway.streams import EventStream, Streams
from tiercast_shared.contracts.signals import Signal
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.web import Problem

MAX_OFFSET = 2**53
"""Offsets are JSON numbers, and larger ones are not exact in every reader."""


class SubscribedPage(BaseModel):
    """A page of the signals that a caller may browse, newest first."""

    items: list[Signal]
    total: int
    limit: int
    offset: int
    has_more: bool
    user_tier: Tier


def signals_router(
    history: History, newest: Latest, streams: Streams, caller: Callable[[Request], Awaitable[Caller]]
) -> APIRouter:
    """`/api/v1/signals/latest`, `/subscribed` and `/stream`."""
    router = APIRouter(
        prefix="/api/v1/signals",
        tags=["signals"],
        responses={status: {"model": Problem} for status in (401, 403, 422, 429, 503)},
    )
    who = Depends(caller)

    @router.get("/latest", response_model=list[Signal], responses={304: {"description": "Nothing has changed."}})
    async def latest(
        caller: Annotated[Caller, who],
        limit: Annotated[int, Query(ge=1)] = DEFAULT_LIMIT,
        premium_only: bool = False,
        after: Annotated[str | None, Query(description="A cursor: what follows it, instead of the newest.")] = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The newest signals of the caller's feed, newest first; `limit` is clamped to what the tier may browse.

        With `after`, the `limit` signals directly after that cursor, also newest first, with `X-Tiercast-More: true` if more
        follow. What was missed may always be fetched: the tier's limit bounds browsing only. `X-Tiercast-Resync: true` says that
        not everything after the cursor can be had, and the newest are given instead.
        """
        if after is not None:
            following = await history.following(caller, after, limit, premium_only=premium_only)
            if following is not None:
                place = {"X-Tiercast-Cursor": following.cursor, "X-Tiercast-More": str(following.more).lower()}
                headers = PRIVATE | place
                return Response(array(following.items), headers=headers, media_type=JSON)
        answer = newest.answer(caller, limit, premium_only=premium_only, if_none_match=if_none_match)
        response = Response(answer.body, answer.status)
        response.raw_headers = [*answer.headers, *raw({"X-Tiercast-Resync": "true"} if after is not None else {})]
        return response

    @router.get("/subscribed", response_model=SubscribedPage)
    async def subscribed(
        caller: Annotated[Caller, who],
        limit: Annotated[int, Query(ge=1)] = 50,
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
        premium_only: bool = False,
    ) -> Response:
        """A page of the signals that the caller may browse, newest first."""
        limit = min(limit, caller.entitlement.history_limit)
        items = history.newest(caller, premium_only=premium_only)
        page = items[offset : offset + limit]
        body = {
            "items": [orjson.Fragment(item.entry.data) for item in page],
            "total": len(items),
            "limit": limit,
            "offset": offset,
            "has_more": offset + len(page) < len(items),
            "user_tier": caller.tier,
        }
        return Response(orjson.dumps(body), headers=PRIVATE, media_type=JSON)

    @router.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def stream(
        caller: Annotated[Caller, who],
        last_event_id: Annotated[str | None, Query(description="A cursor, where no header can be set.")] = None,
        header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> Response:
        """The live feed as server-sent events: each `data` is a frame as on the WebSocket, each `id` a cursor to resume from."""
        streams.admit(caller)
        return EventStream(streams, caller, header or last_event_id)

    return router
