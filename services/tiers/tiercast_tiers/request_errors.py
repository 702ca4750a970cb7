"""Counts the answers that are errors."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestErrorMiddleware:
    """Tells `answered` the status of every answer, 500 for a handler that failed."""

    def __init__(self, app: ASGIApp, answered: Callable[[int], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            self._answered(500)
            raise
