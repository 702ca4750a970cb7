"""Bad input to the tiers API gets a precise answer, and never a 5xx."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.tiers import ADMIN, SERVICE, api_client
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate
from tiercast_tiers.app import PACKAGE
from tiercast_tiers.store import TierStore

ALICE = "/api/v1/users/alice/tier"
LOOKUP = "/api/v1/tiers/lookup"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One application for all of these: none may leave a trace."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('tiers')}/test.db"
    async with Database.open(url) as database:
        await migrate(database, PACKAGE)
        async with api_client(database) as client:
            yield client
        assert (await TierStore(database).head()).seq == 0


def fields(answer: httpx.Response) -> list[str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("GET", ALICE, "X-Admin-Key"),
        ("PUT", ALICE, "X-Admin-Key"),
        ("GET", f"{ALICE}/history", "X-Admin-Key"),
        ("DELETE", "/api/v1/users/alice/sessions", "X-Admin-Key"),
        ("GET", "/api/v1/changes?after=0", "X-Service-Key"),
        ("POST", LOOKUP, "X-Service-Key"),
    ],
)
@pytest.mark.parametrize("key", [None, "", "wrong", "schlüssel".encode()])
async def test_every_route_needs_its_key_before_it_looks_at_anything_else(api, method, path, header, key):
    headers = {} if key is None else {header: key}
    answer = await api.request(method, path, headers=headers, content=b"{")
    assert answer.status_code == 401
    assert answer.json()["code"] == ("wrong_key" if key else "missing_key")
    assert header in answer.json()["detail"]


@pytest.mark.parametrize("other", [SERVICE, {"X-Admin-Key": SERVICE["X-Service-Key"]}])
async def test_the_service_key_does_not_set_tiers(api, other):
    assert (await api.put(ALICE, headers=other, json={"tier": "pro"})).status_code == 401


@pytest.mark.parametrize(
    ("user_id", "says"),
    [("", "at least 1"), ("x" * 256, "at most 255"), ("a%00b", "pattern"), ("a%0Ab", "pattern"), ("%7F", "pattern")],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_user_id_that_cannot_be_one_is_named(api, method, user_id, says):
    what = "sessions" if method == "DELETE" else "tier"
    body = {"tier": "pro"} if method == "PUT" else None
    answer = await api.request(method, f"/api/v1/users/{user_id}/{what}", headers=ADMIN, json=body)
    assert (answer.status_code, fields(answer)) == (422, ["user_id"])
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"tier":"gold"}', "tier"),
        (b'{"tier":"PRO"}', "tier"),
        (b'{"tier":1}', "tier"),
        (b'{"tier":null}', "tier"),
        (b'{"tier":["pro"]}', "tier"),
        (b'{"tier":NaN}', "tier"),
        (b'{"tier":%b}' % (b"9" * 4000), "tier"),
        (b"{}", "tier"),
        (b'{"reason":"x"}', "tier"),
        (b'{"tier":"pro","reason":""}', "reason"),
        (b'{"tier":"pro","reason":7}', "reason"),
        (b'{"tier":"pro","reason":"a\\u0000b"}', "reason"),
        (b'{"tier":"pro","reason":"line\\nbreak"}', "reason"),
        (b'{"tier":"pro","reason":"%b"}' % (b"x" * 501), "reason"),
        (b"[]", "body"),
        (b'"pro"', "body"),
        (b"null", "body"),
    ],
)
async def test_a_wrong_field_is_named(api, body, field):
    answer = await api.put(ALICE, headers=ADMIN, content=body)
    assert (answer.status_code, fields(answer)) == (422, [field])


async def test_an_unknown_tier_is_answered_with_the_allowed_ones(api):
    answer = await api.put(ALICE, headers=ADMIN, json={"tier": "gold"})
    assert answer.json()["detail"] == "tier: Input should be 'starter', 'pro' or 'elite'"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"tier=pro",
        b'{"tier":"pro"}}',
        b'{"tier":"\xff"}',
        b'{"tier":"pro","reason":"\\ud800"}',
        b'{"tier":"pro","reason":"a\x00b"}',
        b'{"tier":%b}' % (b"9" * 5000),
        b'{"x":' * 10_000,
        b"[" * 60_000,
    ],
)
async def test_what_is_no_json_is_called_so(api, body):
    answer = await api.put(ALICE, headers=ADMIN, content=body)
    assert (answer.status_code, answer.json()["code"], fields(answer)) == (422, "invalid_json", ["body"])


async def test_unknown_fields_are_ignored(api):
    answer = await api.put(ALICE, headers=ADMIN, json={"tier": "starter", "note": {"a": [1]}})
    assert (answer.status_code, answer.json()["changed"]) == (200, False)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_above_the_limit_is_refused_whatever_its_length_is_said_to_be(api, declared):
    body = b'{"tier":"pro","reason":"%b"}' % (b"x" * 64 * 1024)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    answer = await api.put(ALICE, headers=ADMIN, content=body if declared else chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("actor", [b"", b"x" * 101, b"tab\there", "jörg".encode()])
async def test_an_actor_that_is_not_fit_for_the_log_is_refused(api, actor):
    for method, path in (("PUT", ALICE), ("DELETE", "/api/v1/users/alice/sessions")):
        answer = await api.request(method, path, headers={**ADMIN, "X-Actor": actor}, json={"tier": "pro"})
        assert (answer.status_code, fields(answer)) == (422, ["X-Actor"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("before=0", "before"),
        (f"before={10**30}", "before"),
    ],
)
async def test_history_names_a_wrong_parameter(api, query, field):
    answer = await api.get(f"{ALICE}/history?{query}", headers=ADMIN)
    assert (answer.status_code, fields(answer)) == (422, [field])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "after"),
        ("after=", "after"),
        ("after=-1", "after"),
        ("after=1.5", "after"),
        (f"after={2**63}", "after"),
        (f"after={'9' * 5000}", "after"),
        ("after=0&limit=0", "limit"),
        ("after=0&limit=1001", "limit"),
    ],
)
async def test_changes_name_a_wrong_parameter(api, query, field):
    answer = await api.get(f"/api/v1/changes?{query}", headers=SERVICE)
    assert (answer.status_code, fields(answer)) == (422, [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_ids"),
        ({"user_ids": "alice"}, "user_ids"),
        ({"user_ids": ["x"] * 1001}, "user_ids"),
        ({"user_ids": ["alice", ""]}, "user_ids.1"),
        ({"user_ids": ["alice", 7]}, "user_ids.1"),
        ({"user_ids": ["a\u0000b"]}, "user_ids.0"),
        ({"user_ids": ["x" * 256]}, "user_ids.0"),
        ({"user_ids": {"alice": 1}}, "user_ids"),
    ],
)
async def test_a_lookup_names_what_is_wrong(api, body, field):
    answer = await api.post(LOOKUP, headers=SERVICE, json=body)
    assert (answer.status_code, fields(answer)) == (422, [field])


async def test_a_lookup_with_a_thousand_wrong_ids_names_the_first_few(api):
    answer = await api.post(LOOKUP, headers=SERVICE, json={"user_ids": [""] * 1000})
    assert (answer.status_code, len(fields(answer))) == (422, 20)


async def test_a_lookup_body_above_its_limit_is_refused(api):
    answer = await api.post(LOOKUP, headers=SERVICE, content=b'{"user_ids":["%b"]}' % (b"x" * 512 * 1024))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", ALICE, 405), ("GET", "/api/v1/users/alice/sessions", 405), ("GET", "/api/v1/nothing", 404)],
)
async def test_a_wrong_method_or_path_is_a_problem_answer_too(api, method, path, status):
    answer = await api.request(method, path, headers=ADMIN)
    assert answer.status_code == status
    assert fields(answer) == []


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://nobody@127.0.0.1:1/none", "sqlite+aiosqlite:////no/such/directory/x.db"]
)
async def test_while_the_database_is_away_everything_says_so_and_when_to_come_back(url):
    async with Database.open(url) as database, api_client(database) as api:
        answers = [
            await api.get(ALICE, headers=ADMIN),
            await api.put(ALICE, headers=ADMIN, json={"tier": "pro"}),
            await api.get(f"{ALICE}/history", headers=ADMIN),
            await api.delete("/api/v1/users/alice/sessions", headers=ADMIN),
            await api.get("/api/v1/changes?after=0", headers=SERVICE),
            await api.post(LOOKUP, headers=SERVICE, json={"user_ids": ["alice"]}),
        ]
    assert [answer.status_code for answer in answers] == [503] * 6
    assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
    assert {answer.json()["code"] for answer in answers} == {"unavailable"}
