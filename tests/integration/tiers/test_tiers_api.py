"""What the tiers API answers, on both kinds of database."""

import asyncio
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from prometheus_client import CollectorRegistry

from tests.support.tiers import ADMIN, SERVICE, api_client, set_tier
from tiercast_shared.contracts.tiers import Tier, TierChangePage, TierLookup
from tiercast_shared.eventlog.database import Database


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def api(database: Database, registry):
    async with api_client(database, registry) as client:
        yield client


def tier_of(user_id: str) -> str:
    return f"/api/v1/users/{quote(user_id, safe='')}/tier"


async def put(api: httpx.AsyncClient, user_id: str, tier: str, **fields: str) -> httpx.Response:
    return await api.put(tier_of(user_id), headers=ADMIN, json={"tier": tier, **fields})


async def test_a_user_nobody_has_heard_of_is_a_starter_of_version_0(api):
    answer = await api.get(tier_of("nobody"), headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json() == {
        "user_id": "nobody",
        "tier": "starter",
        "version": 0,
        "changed_at": None,
        "tokens_valid_after": None,
    }


async def test_a_tier_that_was_set_is_answered_and_read_back(api):
    answer = (await put(api, "alice", "pro", reason="invoice 7")).json()
    changed_at = answer.pop("changed_at")
    assert answer == {"user_id": "alice", "tier": "pro", "previous_tier": "starter", "version": 1, "changed": True}
    assert (await api.get(tier_of("alice"), headers=ADMIN)).json() == {
        "user_id": "alice",
        "tier": "pro",
        "version": 1,
        "changed_at": changed_at,
        "tokens_valid_after": None,
    }


async def test_setting_the_same_tier_again_says_that_nothing_changed(api):
    first = (await put(api, "alice", "pro")).json()
    again = await put(api, "alice", "pro")
    assert again.status_code == 200
    assert again.json() == first | {"previous_tier": "pro", "changed": False}


@pytest.mark.parametrize(
    "user_id",
    ["auth0|1", "zoë@example.org", "urn:user:1", "a/b", "a/tier", "x/tier/history", "%2F", "x" * 255, " ", "?#&"],
)
async def test_any_text_without_control_characters_is_a_user_id(api, user_id):
    assert (await put(api, user_id, "elite")).json()["user_id"] == user_id
    assert (await api.get(tier_of(user_id), headers=ADMIN)).json()["tier"] == "elite"
    history = await api.get(f"{tier_of(user_id)}/history", headers=ADMIN)
    assert [change["tier"] for change in history.json()["changes"]] == ["elite"]


async def test_history_is_newest_first_with_actor_and_reason_and_pages(api):
    for tier, who in (("pro", "ann"), ("elite", "ben"), ("starter", "cid")):
        headers = {**ADMIN, "X-Actor": who, "X-Request-ID": f"request-{who}"}
        await api.put(tier_of("alice"), headers=headers, json={"tier": tier, "reason": f"by {who}"})
    page = (await api.get(f"{tier_of('alice')}/history?limit=2", headers=ADMIN)).json()
    assert [(c["version"], c["tier"], c["actor"], c["reason"], c["correlation_id"]) for c in page["changes"]] == [
        (3, "starter", "cid", "by cid", "request-cid"),
        (2, "elite", "ben", "by ben", "request-ben"),
    ]
    assert page["next_before"] == 2
    rest = (await api.get(f"{tier_of('alice')}/history?limit=2&before=2", headers=ADMIN)).json()
    assert [change["previous_tier"] for change in rest["changes"]] == ["starter"]
    assert rest["next_before"] is None


async def test_without_a_reason_and_an_actor_the_defaults_are_recorded(api):
    await put(api, "alice", "pro")
    (change,) = (await api.get(f"{tier_of('alice')}/history", headers=ADMIN)).json()["changes"]
    assert (change["reason"], change["actor"]) == ("set by admin", "admin")


async def test_revoking_sessions_writes_an_entry_and_keeps_the_tier(api, store):
    await put(api, "alice", "pro")
    why = {"reason": "a lost phone"}
    revoked = (await api.delete("/api/v1/users/alice/sessions", headers=ADMIN | {"X-Actor": "eve"}, params=why)).json()
    assert (revoked["user_id"], revoked["seq"]) == ("alice", 2)
    now = (await api.get(tier_of("alice"), headers=ADMIN)).json()
    assert (now["tier"], now["version"], now["tokens_valid_after"]) == ("pro", 1, revoked["tokens_valid_after"])
    page = TierChangePage.model_validate_json((await api.get("/api/v1/changes?after=1", headers=SERVICE)).content)
    assert [entry.data.type for entry in page.entries] == ["session.revoked"]
    (entry,) = (await store.entries_after(1, 10))[1]
    assert (entry.actor, entry.reason) == ("eve", "a lost phone")
    refused = await api.delete("/api/v1/users/alice/sessions", headers=ADMIN, params={"reason": "two\nlines"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reason")


async def test_changes_give_the_stored_bytes_untouched(api, store):
    await put(api, "zoë", "pro", reason="“paid”")
    await put(api, "bob", "elite")
    answer = await api.get("/api/v1/changes?after=0&limit=10", headers=SERVICE)
    _, entries = await store.entries_after(0, 10)
    for entry in entries:
        assert b'{"seq":%d,"data":%b}' % (entry.seq, entry.body) in answer.content
    page = TierChangePage.model_validate_json(answer.content)
    assert (page.head, [entry.seq for entry in page.entries]) == (2, [1, 2])
    assert (await api.get("/api/v1/changes?after=2", headers=SERVICE)).json()["entries"] == []
    assert len((await api.get("/api/v1/changes?after=0&limit=1", headers=SERVICE)).json()["entries"]) == 1


async def test_a_lookup_answers_every_user_asked_for_once(api, registry):
    await put(api, "alice", "pro")
    body = {"user_ids": ["alice", "nobody", "alice", "a|b"]}
    answer = await api.post("/api/v1/tiers/lookup", headers=SERVICE, json=body)
    lookup = TierLookup.model_validate_json(answer.content)
    assert (lookup.head, set(lookup.tiers)) == (1, {"alice", "nobody", "a|b"})
    assert lookup.tiers["alice"].tier is Tier.PRO
    assert (lookup.tiers["nobody"].tier, lookup.tiers["nobody"].version) == (Tier.STARTER, 0)
    assert registry.get_sample_value("tiercast_tiers_users_looked_up_total") == 3


async def test_a_thousand_users_are_looked_up_at_once_and_none_is_fine_too(api, writer):
    names = [f"user-{n}" for n in range(1000)]
    await writer.commit([set_tier(name, Tier.PRO) for name in names[:500]])
    answer = (await api.post("/api/v1/tiers/lookup", headers=SERVICE, json={"user_ids": names})).json()
    assert [state["version"] for state in answer["tiers"].values()] == [*range(1, 501), *[0] * 500]
    empty = (await api.post("/api/v1/tiers/lookup", headers=SERVICE, json={"user_ids": []})).json()
    assert (empty["head"], empty["tiers"]) == (500, {})


async def test_simultaneous_changes_are_all_answered_with_versions_of_their_own(api):
    answers = await asyncio.gather(*(put(api, f"user-{n}", "pro") for n in range(40)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 41))


async def test_the_request_id_is_taken_over_or_made_and_always_answered(api):
    given = await api.get(tier_of("a"), headers={**ADMIN, "X-Request-ID": "trace-1"})
    assert given.headers["X-Request-ID"] == "trace-1"
    refused = await api.get(tier_of("a"))
    assert UUID(refused.headers["X-Request-ID"])
    unfit = await api.get(tier_of("a"), headers={**ADMIN, "X-Request-ID": "x" * 129})
    assert UUID(unfit.headers["X-Request-ID"])


async def test_metrics_count_changes_revocations_and_errors(api, registry):
    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("tiercast_tiers_changes_total", tier="elite") == 0
    await put(api, "alice", "pro")
    await put(api, "alice", "pro")
    await api.delete("/api/v1/users/alice/sessions", headers=ADMIN)
    await put(api, "alice", "gold")
    assert value("tiercast_tiers_changes_total", tier="pro") == 1
    assert value("tiercast_tiers_revocations_total") == 1
    route = "PUT /api/v1/users/{user_id}/tier"
    assert value("tiercast_http_requests_total", route=route, status="2xx") == 2
    assert value("tiercast_http_requests_total", route=route, status="4xx") == 1
    assert value("tiercast_http_requests_total", route=route, status="5xx") == 0
