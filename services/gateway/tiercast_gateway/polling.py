"""The short way for requests that come over and over: `GET /api/v1/signals/latest` from who was there before.

The route of the same path answers everyone, and documents it; FastAPI's parsing and dependencies cost it several times what the
answer itself does. Whatever is out of the ordinary (a token not seen before, a tier that must be looked up, other parameters) is
left to the route.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from tiercast_gateway.callers import Callers
from tiercast_gateway.latest import Latest
from tiercast_shared.errors import Unavailable
from tiercast_shared.web import unavailable_response

PATH = "/api/v1/signals/latest"
DEFAULT_LIMIT = 10
QUERY = re.compile(rb"(?:limit=([1-9][0-9]{0,5}))?(?:(?:^|&)premium_only=(true|false))?")
BEARER = "Bearer "


class PollingRoute:
    """What metrics read off a request's scope: the same template as that of the route."""

    path_format = PATH


class Polling:
    """ASGI middleware, inside of what counts requests and adds headers."""

    def __init__(self, app: ASGIApp, callers: Callers, latest: Latest) -> None:
        self._app = app
        self._callers = callers
        self._latest = latest
        self._route = PollingRoute()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "GET":
            return await self._app(scope, receive, send)
        headers, query = dict(scope["headers"]), QUERY.fullmatch(scope["query_string"])
        token = headers.get(b"authorization", b"").decode("latin-1")
        if query is None or len(headers) != len(scope["headers"]) or not token.startswith(BEARER):
            return await self._app(scope, receive, send)
        try:
            caller = self._callers.known(token.removeprefix(BEARER), scope)
        except Unavailable as refusal:
            scope["route"] = self._route
            return await unavailable_response(refusal)(scope, receive, send)
        if caller is None:
            return await self._app(scope, receive, send)
        scope["route"] = self._route
        limit, premium_only = int(query[1] or DEFAULT_LIMIT), query[2] == b"true"
        tag = headers.get(b"if-none-match")
        answer = self._latest.answer(
            caller, limit, premium_only=premium_only, if_none_match=None if tag is None else tag.decode("latin-1")
        )
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})
        return None
