"""Recent signals over HTTP, from memory: each caller's own feed, newest first, and nothing that tells of another feed."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.gateway.doubles import EPOCH, NOW, Replica, make_verifier, token
from tiercast_gateway.api import signals_router
from tiercast_gateway.callers import Callers, Credential
from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.history import History
from tiercast_gateway.latest import Latest
from tiercast_gateway.polling import Polling
from tiercast_gateway.rate_limit_headers import RateLimitHeaders
from tiercast_gateway.remembered_tokens import RememberedTokens
from tiercast_gateway.request_limits import RequestLimits
from tiercast_gateway.stats import stats_router
from tiercast_gateway.streams import Streams
from tiercast_shared.contracts.signals import Feed, Signal
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.web import install_error_handlers

LATEST, SUBSCRIBED, STATS = "/api/v1/signals/latest", "/api/v1/signals/subscribed", "/ws/stats"
HISTORY = (LATEST, SUBSCRIBED)


class Service:
    """The gateway's HTTP side over a replica in memory.

    With `remembering`, bearers are known already, so that requests for the latest signals take the short way wherever they can.
    """

    def __init__(self, *, remembering: bool) -> None:
        self.remembering = remembering
        self.replica = Replica()
        app = FastAPI()
        install_error_handlers(app, challenge="Bearer")
        app.include_router(stats_router(self.replica.presence))
        self.tokens = RememberedTokens(make_verifier(self.replica.clock).verify, [], clock=self.replica.clock)
        self.requests = RequestLimits(DEFAULT_ENTITLEMENTS)
        callers = Callers(
            Credential(self.tokens.verify),
            self.replica.tiers,
            self,  # type: ignore[arg-type] # what it uses of a TierSync is below
            DEFAULT_ENTITLEMENTS,
            self.requests,
            remembered=self.tokens.known if remembering else lambda _token: None,
        )
        replica = self.replica
        history = History(
            replica.feed,
            replica.missed,
            lambda user: DEFAULT_ENTITLEMENTS[replica.tiers.tier_of(user)].feed,
            replica.tiers.trusted,
        )
        self.latest = Latest(history)
        streams = Streams(replica.feed, replica.missed, replica.tiers, replica.limits)
        app.include_router(signals_router(history, self.latest, streams, callers.of))
        app.add_middleware(Polling, callers=callers, latest=self.latest)
        app.add_middleware(RateLimitHeaders)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def resolve(self, user_id: str) -> Tier:
        return self.replica.tiers.tier_of(user_id)

    def known(self, user: str, tier: Tier) -> None:
        self.replica.tiers.asking([user])
        self.replica.answer(**{user: tier})

    async def get(
        self, path: str, user: str | None = "pro", *, headers: Mapping[str, str] | None = None, **params: Any
    ):
        bearer = {"Authorization": f"Bearer {token(user)}"} if user else {}
        if user and self.remembering:
            self.tokens.verify(token(user))
        return await self.http.get(path, params=params, headers={**bearer, **(headers or {})})


@pytest.fixture(params=[False, True], ids=["route", "short way"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    service = Service(remembering=request.param)
    for tier in Tier:
        service.known(tier.value, tier)
    async with service.http:
        yield service


def positions(signals: list[dict[str, Any]]) -> list[int]:
    return [int(signal["entry_price"]) for signal in signals]


# -- missed ---------------------------------------------------------------------------------------


async def test_after_a_cursor_come_the_signals_directly_behind_it_and_whether_more_follow(service: Service) -> None:
    service.replica.publish_all("spspspsp")
    cursor = service.replica.cursors.seal(EPOCH, 2)
    answer = await service.get(LATEST, "pro", after=cursor, limit=3)
    assert positions(answer.json()) == [5, 4, 3]
    assert (answer.headers["X-Tiercast-More"], "X-Tiercast-Resync" in answer.headers) == ("true", False)
    answer = await service.get(LATEST, "pro", after=answer.headers["X-Tiercast-Cursor"], limit=3)
    assert positions(answer.json()) == [8, 7, 6]
    assert answer.headers["X-Tiercast-More"] == "false"
    cursor = answer.headers["X-Tiercast-Cursor"]
    answer = await service.get(LATEST, "pro", after=cursor)
    assert (answer.json(), answer.headers["X-Tiercast-Cursor"]) == ([], cursor)


async def test_what_a_starter_missed_is_bounded_by_no_tier_and_holds_nothing_premium(service: Service) -> None:
    service.replica.publish_all("sp" * 30)
    answer = await service.get(LATEST, "starter", after=service.replica.cursors.seal(EPOCH, 1), limit=25)
    assert positions(answer.json()) == list(range(51, 1, -2))
    assert answer.headers["X-Tiercast-More"] == "true"


async def test_what_left_memory_is_read_from_the_log(service: Service) -> None:
    service.replica.publish_all("sp" * 600)
    assert service.replica.feed.rings[Feed.ALL].floor > 2
    answer = await service.get(LATEST, "pro", after=service.replica.cursors.seal(EPOCH, 2), limit=4)
    assert positions(answer.json()) == [6, 5, 4, 3]
    assert answer.headers["X-Tiercast-More"] == "true"


async def test_a_cursor_that_cannot_be_followed_whole_gives_the_newest_and_says_so(service: Service) -> None:
    service.replica.publish_all("sss")
    cursors = service.replica.cursors
    for cursor in ("nonsense", cursors.seal("epoch-0", 1), cursors.seal(EPOCH, 4)):
        answer = await service.get(LATEST, "pro", after=cursor)
        assert positions(answer.json()) == [3, 2, 1]
        assert answer.headers["X-Tiercast-Resync"] == "true"


async def test_a_cursor_of_a_replica_that_is_further_on_is_sound(service: Service) -> None:
    service.replica.publish_all("sss")
    cursor = service.replica.cursors.seal(EPOCH, service.replica.log.add().position)
    answer = await service.get(LATEST, "pro", after=cursor)
    assert (answer.json(), answer.headers["X-Tiercast-Cursor"]) == ([], cursor)
    assert "X-Tiercast-Resync" not in answer.headers


# -- latest ---------------------------------------------------------------------------------------


async def test_latest_is_an_array_of_the_callers_feed_newest_first(service: Service) -> None:
    service.replica.publish_all("spsp")

    everything, standard = await service.get(LATEST, "pro"), await service.get(LATEST, "starter")

    assert positions(everything.json()) == [4, 3, 2, 1]
    assert positions(standard.json()) == [3, 1]
    assert everything.headers["content-type"] == "application/json"
    for signal in everything.json():
        Signal.model_validate(signal)


async def test_latest_of_an_empty_log_is_an_empty_array(service: Service) -> None:
    response = await service.get(LATEST)

    assert (response.status_code, response.json()) == (200, [])


async def test_latest_gives_ten_unless_told_and_never_more_than_the_tier_may_browse(service: Service) -> None:
    service.replica.publish_all("s" * 150)

    async def count(user: str, **params: int) -> int:
        return len((await service.get(LATEST, user, **params)).json())

    assert await count("elite") == 10
    assert [await count(user, limit=2000) for user in ("starter", "pro", "elite")] == [10, 100, 150]
    assert await count("pro", limit=3) == 3
    assert await count("pro", limit=10**18) == 100


async def test_premium_only_leaves_standard_ones_out_and_a_starter_with_nothing(service: Service) -> None:
    service.replica.publish_all("spspss")

    assert positions((await service.get(LATEST, "pro", premium_only=True)).json()) == [4, 2]
    assert (await service.get(LATEST, "starter", premium_only=True)).json() == []


async def test_premium_only_reaches_back_past_standard_signals(service: Service) -> None:
    service.replica.publish_all("p" * 20 + "s" * 200)

    assert len((await service.get(LATEST, "pro", premium_only=True, limit=15)).json()) == 15


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"premium_only": "perhaps"}, "premium_only"),
    ],
)
@pytest.mark.parametrize("path", HISTORY)
async def test_a_wrong_parameter_is_named(service: Service, path: str, params: dict[str, Any], field: str) -> None:
    response = await service.get(path, **params)

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("offset", [-1, "x", ""])
async def test_a_wrong_offset_is_named(service: Service, offset: object) -> None:
    response = await service.get(SUBSCRIBED, offset=offset)

    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "offset")


# -- ETag and cursor ------------------------------------------------------------------------------


async def test_what_has_not_changed_is_answered_with_304_until_it_has(service: Service) -> None:
    service.replica.publish_all("sp")
    first = await service.get(LATEST)
    etag = first.headers["etag"]

    same = await service.get(LATEST, headers={"If-None-Match": etag})
    weak = await service.get(LATEST, headers={"If-None-Match": f'"other", W/{etag}'})
    service.replica.publish_all("s")
    changed = await service.get(LATEST, headers={"If-None-Match": etag})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert weak.status_code == 304
    assert (changed.status_code, len(changed.json())) == (200, 3)
    assert changed.headers["etag"] != etag


async def test_another_question_is_never_answered_with_304(service: Service) -> None:
    service.replica.publish_all("spsp" * 30)
    etag = (await service.get(LATEST, limit=10)).headers["etag"]

    for params in ({"limit": 11}, {"limit": 10, "premium_only": True}):
        assert (await service.get(LATEST, headers={"If-None-Match": etag}, **params)).status_code == 200


async def test_a_new_tier_is_never_answered_with_304_for_the_old_ones_feed(service: Service) -> None:
    """The last signal is a standard one, so that both feeds end at the same cursor."""
    service.replica.publish_all("pps")
    etag = (await service.get(LATEST, "starter")).headers["etag"]

    service.replica.tiers.connect("starter")
    service.replica.set_tier("starter", Tier.PRO)
    upgraded = await service.get(LATEST, "starter", headers={"If-None-Match": etag})

    assert (upgraded.status_code, positions(upgraded.json())) == (200, [3, 2, 1])


async def test_premium_signals_change_nothing_that_a_starter_is_answered(service: Service) -> None:
    service.replica.publish_all("ss")
    before = await service.get(LATEST, "starter")

    service.replica.publish_all("ppp")
    after = await service.get(LATEST, "starter", headers={"If-None-Match": before.headers["etag"]})
    page = (await service.get(SUBSCRIBED, "starter")).json()

    assert after.status_code == 304
    assert after.headers["x-tiercast-cursor"] == before.headers["x-tiercast-cursor"]
    assert (page["total"], page["has_more"]) == (2, False)


async def test_the_cursor_is_that_of_the_newest_signal_and_answers_are_private(service: Service) -> None:
    service.replica.publish_all("sp")

    pro, starter = await service.get(LATEST, "pro"), await service.get(LATEST, "starter")

    cursors = [service.replica.cursors.open(answer.headers["x-tiercast-cursor"]).position for answer in (pro, starter)]
    assert cursors == [2, 1]
    for answer in (pro, starter, await service.get(SUBSCRIBED)):
        assert "private" in answer.headers["cache-control"]
        assert "Authorization" in answer.headers["vary"]


# -- subscribed -----------------------------------------------------------------------------------


async def test_subscribed_is_a_page_with_what_is_needed_for_the_next(service: Service) -> None:
    service.replica.publish_all("sps" * 10)

    first = (await service.get(SUBSCRIBED, "pro", limit=20)).json()
    second = (await service.get(SUBSCRIBED, "pro", limit=20, offset=20)).json()
    beyond = (await service.get(SUBSCRIBED, "pro", limit=20, offset=500)).json()

    assert set(first) == {"items", "total", "limit", "offset", "has_more", "user_tier"}
    assert positions(first["items"] + second["items"]) == list(range(30, 0, -1))
    assert (first["total"], first["limit"], first["offset"], first["has_more"]) == (30, 20, 0, True)
    assert (second["has_more"], beyond["items"], beyond["has_more"]) == (False, [], False)
    assert first["user_tier"] == "pro"


async def test_no_offset_reaches_beyond_what_the_tier_may_browse(service: Service) -> None:
    service.replica.publish_all("s" * 30)

    page = (await service.get(SUBSCRIBED, "starter", limit=50, offset=5)).json()

    assert (page["total"], page["limit"], positions(page["items"])) == (10, 10, [25, 24, 23, 22, 21])


async def test_a_starter_never_sees_a_premium_signal_by_any_question(service: Service) -> None:
    service.replica.publish_all("sp" * 40)

    for premium_only in (True, False):
        latest = (await service.get(LATEST, "starter", limit=1000, premium_only=premium_only)).json()
        pages = [
            (await service.get(SUBSCRIBED, "starter", limit=1000, offset=offset, premium_only=premium_only)).json()
            for offset in range(0, 12, 3)
        ]
        for signal in [*latest, *(signal for page in pages for signal in page["items"])]:
            assert signal["type"] == "STANDARD"


# -- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", HISTORY)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("", "missing_token"),
        ("Bearer", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Basic YTpi", "missing_token"),
        ("Bearer x.y.z", "invalid_token"),
        (f"Bearer {token(exp=1)}", "invalid_token"),
        (f"Bearer {token(key='another-secret-of-enough-length-too')}", "invalid_token"),
        (f"Bearer {token()} {token()}", "invalid_token"),
    ],
)
async def test_without_a_good_token_the_answer_is_401(
    service: Service, path: str, header: str | None, code: str
) -> None:
    response = await service.get(path, None, headers={} if header is None else {"Authorization": header})

    assert (response.status_code, response.json()["code"]) == (401, code)
    assert response.headers["www-authenticate"] == "Bearer"
    assert "x.y.z" not in response.text


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(service: Service, scheme: str) -> None:
    response = await service.get(LATEST, None, headers={"Authorization": f"{scheme} {token('pro')}"})

    assert response.status_code == 200


async def test_a_token_in_the_url_is_not_taken_here(service: Service) -> None:
    assert (await service.get(LATEST, None, token=token("pro"))).status_code == 401


async def test_a_revoked_token_is_refused(service: Service) -> None:
    service.replica.revoke("pro", NOW + 1)

    response = await service.get(LATEST, "pro")

    assert (response.status_code, response.json()["code"]) == (401, "revoked_token")


async def test_a_user_nobody_has_heard_of_browses_as_starter(service: Service) -> None:
    service.replica.publish_all("sp")

    page = (await service.get(SUBSCRIBED, "stranger")).json()

    assert (page["user_tier"], page["total"]) == ("starter", 1)


async def test_a_tier_in_the_token_counts_for_nothing(service: Service) -> None:
    service.replica.publish_all("p")
    bearer = {"Authorization": f"Bearer {token('starter', tier='elite', user_tier='elite')}"}

    assert (await service.http.get(LATEST, headers=bearer)).json() == []


# -- statistics -----------------------------------------------------------------------------------


async def test_statistics_count_connections_and_users_and_need_no_token(service: Service) -> None:
    opened = [service.replica.connect(user) for user in ("pro", "pro", "elite", "starter")]
    service.replica.sessions.opened(service.replica.socket(), None)

    full = (await service.get(STATS, None)).json()
    service.replica.sessions.lost(opened[0])
    less = (await service.get(STATS, None)).json()

    assert full == {
        "total_connections": 4,
        "active_users": 3,
        "users_by_tier": {"starter": 1, "pro": 2, "elite": 1},
    }
    assert (less["total_connections"], less["active_users"], less["users_by_tier"]["pro"]) == (3, 3, 1)


async def test_premium_signals_change_nothing_in_the_statistics(service: Service) -> None:
    service.replica.connect("pro")
    before = (await service.get(STATS, None)).content

    service.replica.publish_all("ppp")

    assert (await service.get(STATS, None)).content == before


# -- limits ---------------------------------------------------------------------------------------


async def test_requests_above_the_tiers_limit_are_refused_with_the_time_to_wait(service: Service) -> None:
    allowed = DEFAULT_ENTITLEMENTS[Tier.STARTER].requests_per_minute
    began = time.monotonic()
    answers = [await service.get(path, "starter") for path in [LATEST, SUBSCRIBED] * (allowed // 2)]
    come_back = int((time.monotonic() - began) * allowed / 60)  # meanwhile, on a slow machine
    assert {answer.status_code for answer in answers} == {200}
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
    assert left[0] == allowed - 1
    assert 0 <= left[-1] <= come_back

    refused = [
        answer for _ in range(allowed + 1) if (answer := await service.get(LATEST, "starter")).status_code != 200
    ]
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["X-RateLimit-Limit"] == str(allowed)
        assert answer.headers["X-RateLimit-Remaining"] == "0"
        assert answer.headers["RateLimit-Policy"] == f'"minute";q={allowed};w=60'
        assert answer.headers["RateLimit"].startswith('"minute";r=0;t=')
    assert (await service.get(LATEST, "pro")).status_code == 200, "each user has a limit of their own"
    assert "RateLimit" not in (await service.get(LATEST, None)).headers
