"""The short way to the latest signals answers what the route answers, byte for byte, and leaves the unusual to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.unit.gateway.doubles import EPOCH, NOW, token
from tests.unit.gateway.test_api import LATEST, Service
from tiercast_gateway.latest import MAX_RENDERED
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier


@pytest.fixture
async def both() -> AsyncIterator[tuple[Service, Service]]:
    """The same signals behind the route and behind the short way."""
    services = Service(remembering=False), Service(remembering=True)
    for service in services:
        for tier in Tier:
            service.known(tier.value, tier)
        service.replica.publish_all("sspsp" * 30)
    async with services[0].http, services[1].http:
        yield services


def short_ways(service: Service) -> int:
    """Requests so far whose token was remembered and whose tier was known: the route looks tiers up elsewhere."""
    return service.replica.tiers.hits


QUERIES = (
    *("", "limit=3", "limit=1", "limit=2000", "limit=999999", "premium_only=true", "premium_only=false"),
    *("limit=7&premium_only=true", "limit=7&premium_only=false"),
)
LEFT_TO_THE_ROUTE = (
    *("limit=0", "limit=-1", "limit=+3", "limit=03", "limit=1e2", "limit=%31", "limit=", "limit", "limit=3&limit=4"),
    *("limit=1000000", "premium_only=1", "premium_only=TRUE", "premium_only=", "premium_only=true&limit=7", "&limit=3"),
    *("limit=3&", "other=1", "limit=3&other=1", "limit=3premium_only=true", "after=nonsense", "after=", "limit=%0A3"),
)


LEFT = {"ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"}


async def asked(service: Service, user: str, query: str, headers: dict[str, str]) -> tuple[int, list[str], bytes]:
    """Status, headers in a certain order and body of one answer; what is left of the limit grows, so only that it is told."""
    bearer = token(user)
    if service.remembering:
        service.tokens.verify(bearer)
    url = f"{LATEST}?{query}" if query else LATEST
    answer = await service.http.get(url, headers={"Authorization": f"Bearer {bearer}", **headers})
    told = {name: "told" if name in LEFT else value for name, value in answer.headers.items()}
    return answer.status_code, sorted(f"{name}: {value}" for name, value in told.items()), answer.content


@pytest.mark.parametrize("condition", [None, "{tag}", '"x", W/{tag}', "*"])
@pytest.mark.parametrize("user", [tier.value for tier in Tier])
async def test_both_ways_give_the_same_answer_to_every_question(
    both: tuple[Service, Service], user: str, condition: str | None
) -> None:
    route, short = both
    tag = (await route.get(LATEST, user, limit=3)).headers["etag"]
    await short.get(LATEST, user, limit=3)
    headers = {"If-None-Match": condition.format(tag=tag)} if condition else {}
    for query in QUERIES:
        before = short_ways(short)
        assert await asked(short, user, query, headers) == await asked(route, user, query, headers), query
        assert short_ways(short) == before + 1, f"{query} went the long way"
    for query in LEFT_TO_THE_ROUTE:
        before = short_ways(short)
        assert await asked(short, user, query, headers) == await asked(route, user, query, headers), query
        assert short_ways(short) == before, f"{query} went the short way"


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"bearer {token('pro')}")],
        [("Authorization", f"Bearer  {token('pro')}")],
        [("Authorization", f"Bearer {token('pro')}"), ("Authorization", f"Bearer {token('elite')}")],
        [("Cookie", f"authjs.session-token={token('pro')}")],
    ],
)
async def test_tokens_shown_in_other_ways_are_left_to_the_route(
    both: tuple[Service, Service], headers: list[tuple[str, str]]
) -> None:
    answers = []
    for service in both:
        service.tokens.verify(token("pro"))
        answers.append(await service.http.get(LATEST, headers=headers))

    assert short_ways(both[1]) == 0
    assert (answers[0].status_code, answers[0].content) == (answers[1].status_code, answers[1].content)


async def test_other_methods_and_paths_are_left_to_the_route(both: tuple[Service, Service]) -> None:
    _, short = both
    short.tokens.verify(token("pro"))
    bearer = {"Authorization": f"Bearer {token('pro')}"}

    assert (await short.http.post(LATEST, headers=bearer)).status_code == httpx.codes.METHOD_NOT_ALLOWED
    assert (await short.http.get(f"{LATEST}/", headers=bearer)).status_code != httpx.codes.OK
    assert short_ways(short) == 0


async def test_a_remembered_token_counts_no_longer_once_it_is_revoked(both: tuple[Service, Service]) -> None:
    _, short = both
    assert (await short.get(LATEST, "pro")).status_code == httpx.codes.OK

    short.replica.revoke("pro", NOW + 1)
    refused = await short.get(LATEST, "pro")

    assert (refused.status_code, refused.json()["code"]) == (401, "revoked_token")


async def test_a_remembered_token_counts_no_longer_once_it_has_ended(both: tuple[Service, Service]) -> None:
    _, short = both
    bearer = {"Authorization": f"Bearer {token('pro', exp=int(NOW) + 60)}"}
    short.tokens.verify(token("pro", exp=int(NOW) + 60))
    assert (await short.http.get(LATEST, headers=bearer)).status_code == httpx.codes.OK

    short.replica.clock.advance(60)
    refused = await short.http.get(LATEST, headers=bearer)

    assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")


async def test_a_new_tier_counts_with_the_next_request(both: tuple[Service, Service]) -> None:
    _, short = both
    short.replica.tiers.connect("elite")
    before = (await short.get(LATEST, "elite", limit=20)).json()
    short.replica.set_tier("elite", Tier.STARTER)
    after = (await short.get(LATEST, "elite", limit=20)).json()

    assert {signal["type"] for signal in before} == {"STANDARD", "PREMIUM"}
    assert ({signal["type"] for signal in after}, len(after)) == ({"STANDARD"}, 10)


async def test_an_answer_that_was_kept_is_given_until_there_is_something_newer(both: tuple[Service, Service]) -> None:
    _, short = both
    first = await short.get(LATEST, "pro", limit=2)
    assert (await short.get(LATEST, "elite", limit=2)).content == first.content

    short.replica.publish_all("p")
    newer = await short.get(LATEST, "pro", limit=2)

    assert newer.json()[1:] == first.json()[:1]
    assert newer.headers["etag"] != first.headers["etag"]


async def test_an_answer_that_was_kept_does_not_outlive_what_memory_holds(both: tuple[Service, Service]) -> None:
    """The end is at the same cursor, but memory now begins there."""
    _, short = both
    feed = short.replica.feed
    assert len((await short.get(LATEST, "pro")).json()) == 10

    feed.begin(EPOCH, feed.head, [])

    assert (await short.get(LATEST, "pro")).json() == []


async def test_many_different_questions_do_not_make_it_keep_many_answers(both: tuple[Service, Service]) -> None:
    _, short = both
    for limit in range(1, 3 * MAX_RENDERED):
        assert len((await short.get(LATEST, "elite", limit=limit)).json()) == limit
    assert len(short.latest._rendered) <= MAX_RENDERED
    assert len(short.replica.feed.rings[Feed.ALL]) >= 3 * MAX_RENDERED
