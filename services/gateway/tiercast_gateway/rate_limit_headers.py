"""Puts the rate limit's headers on every answer to a known caller, refusals included."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEY = "tiercast.rate_limit"
"""Where a request's scope holds the headers, once its caller is known."""


class RateLimitHeaders:
    """Plain ASGI middleware: it adds to the start of the answer and touches nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""

        async def send_with_headers(message: Message) -> None:
            headers = scope.get(KEY)
            if headers and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
