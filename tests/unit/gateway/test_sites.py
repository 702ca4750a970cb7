"""The session cookie counts on requests of allowed origins alone, wherever it is taken."""

import pytest

from tests.unit.gateway.exchange import COOKIE, PATH, POLLED, Exchange, session
from tests.unit.gateway.origins import ORIGIN, WRONG_ORIGINS


@pytest.mark.parametrize("path", [PATH, POLLED])
@pytest.mark.parametrize("origin", WRONG_ORIGINS)
async def test_no_page_of_another_origin_can_use_the_cookie(exchange: Exchange, origin: str, path: str) -> None:
    for site in ("same-origin", "same-site", "cross-site"):
        answer = await exchange.ask(path=path, Origin=origin, Sec_Fetch_Site=site)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert "alice" not in answer.text


@pytest.mark.parametrize("path", [PATH, POLLED])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Sec_Fetch_Site": "none"}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": ORIGIN, "Sec_Fetch_Site": "cross-site"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": ""}, 403),
        ({"Sec_Fetch_Site": "SAME-ORIGIN"}, 403),
    ],
    ids=str,
)
async def test_without_an_origin_the_browser_says_whether_the_page_is_ours(
    exchange: Exchange, headers: dict[str, str], status: int, path: str
) -> None:
    assert (await exchange.ask(path=path, **headers)).status_code == status


async def test_two_origins_are_not_one(exchange: Exchange) -> None:
    headers = [("Cookie", f"{COOKIE}={session()}"), ("Origin", ORIGIN), ("Origin", "https://evil.test")]
    for order in (headers, headers[::-1]):
        assert (await exchange.http.get(PATH, headers=order)).status_code == 403


async def test_a_bearer_token_needs_no_origin_for_no_browser_adds_it_by_itself(exchange: Exchange) -> None:
    token = (await exchange.ask()).json()["token"]
    answer = await exchange.http.get(
        POLLED, headers={"Authorization": f"Bearer {token}", "Origin": "https://evil.test"}
    )
    assert answer.status_code == 200
