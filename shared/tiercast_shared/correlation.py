"""The correlation id of an HTTP request: taken from `X-Request-ID` or made, logged, and answered."""

import re
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"

ACCEPTED = re.compile(r"[\x21-\x7e]{1,128}")
"""What is taken over: it goes into logs, a database and an AMQP short string."""


class CorrelationMiddleware:
    """Gives every request a correlation id. One that is not fit to be logged is replaced, for it is an aid and no input."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection pass untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        identity = given if ACCEPTED.fullmatch(given) else str(uuid4())
        scope.setdefault("state", {})["correlation_id"] = identity

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = identity
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=identity):
            await self._app(scope, receive, answer)


def correlation_id(request: HTTPConnection) -> str:
    """The id that `CorrelationMiddleware` gave to this request; usable as a FastAPI dependency."""
    identity: str = request.state.correlation_id
    return identity
