"""Requests are counted under their route, whatever was asked for."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from prometheus_client import CollectorRegistry

from tiercast_shared.errors import Rejected
from tiercast_shared.http_metrics import HttpMetrics
from tiercast_shared.web import install_error_handlers

USER = "GET /api/users/{user}"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> httpx.AsyncClient:
    router = APIRouter(prefix="/api")

    @router.get("/users/{user:path}")
    async def read(user: str) -> str:
        if user == "broken":
            raise ValueError(user)
        if user == "refused":
            raise Rejected(409, "conflict", "no")
        return user

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"1", b"2"]))

    app = FastAPI()
    install_error_handlers(app)
    app.include_router(router)
    HttpMetrics(registry).install(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x")


def requests(registry: CollectorRegistry, route: str, status: str) -> float | None:
    return registry.get_sample_value("tiercast_http_requests_total", {"route": route, "status": status})


async def test_every_route_is_there_before_it_is_asked_for(client, registry):
    for status in ("2xx", "3xx", "4xx", "5xx"):
        for route in (USER, "GET /api/stream", "other"):
            assert requests(registry, route, status) == 0


async def test_users_are_counted_under_one_route_by_class_of_status(client, registry):
    async with client:
        for user in ("alice", "bob", "refused", "broken"):
            await client.get(f"/api/users/{user}")
    assert [requests(registry, USER, status) for status in ("2xx", "4xx", "5xx")] == [2, 1, 1]
    assert registry.get_sample_value("tiercast_http_request_seconds_count", {"route": USER}) == 4
    assert registry.get_sample_value("tiercast_http_requests_in_progress") == 0


async def test_what_matches_no_route_is_other(client, registry):
    async with client:
        await client.get("/nowhere/alice")
        await client.request("BREW", "/api/users/alice")
        await client.get("/docs")
    assert (requests(registry, "other", "4xx"), requests(registry, USER, "4xx")) == (2, 0)
    assert requests(registry, "other", "2xx") == 1


async def test_a_stream_counts_once_when_it_begins(client, registry):
    async with client:
        assert (await client.get("/api/stream")).text == "12"
    assert requests(registry, "GET /api/stream", "2xx") == 1
