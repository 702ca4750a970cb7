"""Rate, errors and duration of HTTP requests, the same for every service.

A request is counted under its route's template (`PUT /api/v1/users/{user_id}/tier`), never under its path: a path may hold a user's
name, and there are as many as anybody cares to ask for.
"""

import time

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"
"""Every request that no route of the API matches: 404s and 405s, `/docs`."""

STATUS_CLASSES = ("2xx", "3xx", "4xx", "5xx")

REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
"""Seconds."""


class HttpMetrics:
    """Requests by route and class of status. `install` makes every series, so that each starts at 0."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tiercast_http_requests",
            "Requests answered, by route and class of status.",
            ["route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tiercast_http_request_seconds",
            "From a request's head to the beginning of its answer.",
            ["route"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "tiercast_http_requests_in_progress", "Requests that are being answered.", registry=registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def install(self, app: FastAPI) -> None:
        """Count the requests of `app`, whose routes are all there."""
        paths = app.openapi()["paths"]
        routes = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
        for route in (*routes, OTHER):
            seconds = self._seconds.labels(route)
            for status in STATUS_CLASSES:  # looking a child up by its labels costs more than counting
                self._children[route, int(status[0])] = self._requests.labels(route, status), seconds
        app.add_middleware(HttpMetricsMiddleware, metrics=self)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """An answer began, `seconds` after its request."""
        template = getattr(scope.get("route"), "path_format", None)  # without convertors, as in the OpenAPI document
        key = f"{scope['method']} {template}", status // 100
        requests, durations = self._children.get(key) or self._children[OTHER, status // 100]
        requests.inc()
        durations.observe(seconds)


class HttpMetricsMiddleware:
    """Tells `metrics` of every answer, 500 for a handler that failed before it began one."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection pass uncounted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, answered = time.perf_counter(), False

        async def answer(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start" and message["status"] >= 200:
                answered = True
                self._metrics.answered(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        self._metrics.in_progress.inc()
        try:
            await self._app(scope, receive, answer)
        except Exception:
            if not answered:
                self._metrics.answered(scope, 500, time.perf_counter() - begun)
            raise
        finally:
            self._metrics.in_progress.dec()
