"""The dashboard is served from the gateway's own origin, and never stands in the API's way."""

import gzip
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tiercast_gateway.dashboard import Dashboard
from tiercast_shared.errors import TiercastError
from tiercast_shared.web import install_error_handlers

PAGE = "<!doctype html><title>Tiercast</title>"
SCRIPT = "export const answer = 42;" * 100


@pytest.fixture
def http(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text(PAGE)
    (tmp_path / "dist" / "favicon.svg").write_text("<svg/>")
    (tmp_path / "dist" / "assets" / "index-a1b2c3.js").write_text(SCRIPT)
    (tmp_path / "secret.txt").write_text("secret")
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/api/v1/things")
    async def things() -> str:
        return "things"

    @app.post("/tokens")
    async def tokens() -> str:
        return "token"

    app.router.default = Dashboard(tmp_path / "dist", app.router.default)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize("path", ["/", "/ops", "/some/where/deep", "/index.html"])
async def test_the_page_is_given_for_every_path_that_names_no_file_and_is_asked_for_anew(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = await http.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_assets_are_kept_for_ever_and_compressed_for_whom_can_read_that(http: httpx.AsyncClient) -> None:
    plain = await http.get("/assets/index-a1b2c3.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == SCRIPT
    assert plain.headers["Content-Type"].startswith("text/javascript")
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    async with http.stream("GET", "/assets/index-a1b2c3.js", headers={"Accept-Encoding": "gzip"}) as zipped:
        raw = b"".join([part async for part in zipped.aiter_raw()])
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert len(raw) < len(SCRIPT)
    assert gzip.decompress(raw).decode() == SCRIPT


async def test_every_answer_says_what_a_browser_may_do_with_it(http: httpx.AsyncClient) -> None:
    for path in ("/", "/ops", "/favicon.svg", "/assets/index-a1b2c3.js"):
        headers = (await http.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/assets/gone.js", "/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/api/v1/nothing", "/ws/nothing"]
)
async def test_what_is_not_there_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_apis_routes_come_first_and_its_refusals_stay(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/things")).json() == "things"
    assert (await http.get("/tokens")).status_code == 405
    assert (await http.post("/tokens")).json() == "token"
    assert (await http.post("/ops")).status_code == 404
    head = await http.head("/ops")
    assert (head.status_code, head.content) == (200, b"")


def test_a_directory_without_a_page_is_refused_with_the_settings_name(tmp_path: Path) -> None:
    with pytest.raises(TiercastError, match="GATEWAY_DASHBOARD_DIR"):
        Dashboard(tmp_path, FastAPI())
