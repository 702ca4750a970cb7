"""What producers are answered over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from tests.support.ingest import KEYS, SERVICE_KEY, SYNC, HttpIngest, http_ingest
from tests.support.producers import premium, standard, submission
from tiercast_shared.eventlog.database import Database

PROBLEM = "application/problem+json"


@pytest.fixture
async def ingest(database: Database) -> AsyncIterator[HttpIngest]:
    async with http_ingest(database) as ingest:
        yield ingest


@pytest.fixture
async def front(sqlite_database: Database) -> AsyncIterator[HttpIngest]:
    """For what is answered before any database is asked."""
    async with http_ingest(sqlite_database) as front:
        yield front


async def close_tables(database: Database) -> None:
    """As good as away: every statement fails."""
    async with database.writing() as session:
        await session.exec(text("ALTER TABLE signal_log_head RENAME TO elsewhere"))


async def test_a_new_signal_is_created_and_its_copy_is_a_duplicate(ingest: HttpIngest):
    sent = premium()
    first = await ingest.post(sent)
    assert first.status_code == 201
    assert first.json() == {
        "status": "success",
        "signal_id": sent["signal_id"],
        "external_signal_id": first.json()["external_signal_id"],
    }
    again = await ingest.post(sent)
    assert again.status_code == 200
    assert again.json() == first.json() | {"status": "duplicate"}
    _, (entry,) = await ingest.store.entries_after(0, 10)
    assert (entry.id, entry.producer) == (first.json()["external_signal_id"], "acme")
    assert ingest.metric("signals_accepted_total", transport="http", type="PREMIUM") == 1
    assert ingest.metric("signals_duplicates_total", transport="http") == 1
    assert ingest.metric("received_to_committed_seconds_count") == 1


async def test_a_changed_copy_is_a_conflict(ingest: HttpIngest):
    await ingest.post(standard(signal_id="s", entry_price=1.5))
    answer = await ingest.post(standard(signal_id="s", entry_price=2.5))
    assert (answer.status_code, answer.headers["content-type"]) == (409, PROBLEM)
    assert answer.json()["code"] == "conflict"
    assert ingest.metric("signals_rejected_total", transport="http", reason="conflict") == 1


async def test_producers_have_names_of_their_own(ingest: HttpIngest):
    sent = standard()
    assert (await ingest.post(sent)).status_code == 201
    assert (await ingest.post(sent, key=KEYS["other"])).status_code == 201


@pytest.mark.parametrize(
    ("key", "code"), [(None, "missing_key"), ("wrong", "wrong_key"), ("", "missing_key"), ("kéy", "wrong_key")]
)
@pytest.mark.parametrize("path", ["/signal", "/signals"])
async def test_without_a_right_key_nothing_is_taken(front: HttpIngest, key: str | None, code: str, path: str):
    shown = {} if key is None else {"X-API-Key": key.encode("latin-1")}
    answer = await front.client.post(f"{SYNC}{path}", json=standard(), headers=shown)
    assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
    assert answer.json()["code"] == code
    assert (await front.store.head()).seq == 0


async def test_a_wrong_hash_is_a_bad_request_that_shows_the_hashed_text(front: HttpIngest):
    sent = standard() | {"entry_price": 1.25}
    answer = await front.post(sent)
    assert answer.status_code == 400
    assert answer.json()["code"] == "hash_mismatch"
    assert '"entry_price": 1.25' in answer.json()["detail"]
    assert [error["field"] for error in answer.json()["errors"]] == ["sha256"]


async def test_wrong_fields_are_named(front: HttpIngest):
    answer = await front.post(standard() | {"action": "HOLD", "confidence": "high"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert answer.json()["errors"] == [
        {"field": "action", "message": "must be BUY or SELL"},
        {"field": "confidence", "message": "must be a number"},
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"[" * 50_000, "body"),
        (b'{"confidence": NaN}', "confidence"),
        (b'{"signal_id": "\\u0000"}', "signal_id"),
        (b'{"entry_price": 1e999}', "entry_price"),
        (b'{"entry_price": ' + b"9" * 50_000 + b"}", "entry_price"),
    ],
)
async def test_what_is_no_submission_is_unprocessable(front: HttpIngest, body: bytes, field: str):
    answer = await front.post(body)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_a_body_is_cut_off_at_its_limit_whatever_its_length_is_said_to_be(front: HttpIngest):
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 10_000_000:
            read += 8192
            yield b" " * 8192

    answer = await front.client.post(f"{SYNC}/signal", content=endless(), headers={"X-API-Key": KEYS["acme"]})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert read < 1_000_000


async def test_a_database_that_is_away_is_answered_with_when_to_come_back(ingest: HttpIngest, database: Database):
    await close_tables(database)
    answer = await ingest.post(standard())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ingest.metric("signals_postponed_total", transport="http") == 1


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ü"])
async def test_a_request_id_that_cannot_be_logged_is_replaced(front: HttpIngest, given: str):
    headers = {"X-API-Key": KEYS["acme"], "X-Request-ID": given.encode("latin-1")}
    answer = await front.client.post(f"{SYNC}/signal", json=standard(), headers=headers)
    assert answer.status_code == 201
    assert answer.headers["x-request-id"] not in {"", given}


async def test_a_request_id_follows_the_signal(ingest: HttpIngest):
    answer = await ingest.post(standard(), **{"X-Request-ID": "my-id"})
    assert answer.headers["x-request-id"] == "my-id"
    _, (entry,) = await ingest.store.entries_after(0, 10)
    assert entry.correlation_id == "my-id"
    refused = await ingest.post(b"{", **{"X-Request-ID": "other-id"})
    assert refused.headers["x-request-id"] == "other-id"


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_batch_is_answered_item_by_item(ingest: HttpIngest, wrapped: bool):
    known = standard()
    await ingest.post(known)
    taken = standard(signal_id="taken")
    new = premium()
    batch = [
        new,
        known,
        taken,
        standard(signal_id="taken"),
        standard() | {"symbol": "?"},
        standard() | {"action": "SELL"},
        7,
    ]
    content = json.dumps({"signals": batch} if wrapped else batch).encode()
    answer = await ingest.post(content, "/signals")
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [(each["index"], each["status"], each["http_status"]) for each in results] == [
        (0, "success", 201),
        (1, "duplicate", 200),
        (2, "success", 201),
        (3, "rejected", 409),
        (4, "rejected", 422),
        (5, "rejected", 400),
        (6, "rejected", 422),
    ]
    assert [each.get("code") for each in results[3:]] == ["conflict", "invalid_field", "hash_mismatch", "invalid_json"]
    assert results[4]["errors"][0]["field"] == "symbol"
    assert results[0]["signal_id"] == new["signal_id"]
    counts = {name: answer.json()[name] for name in ("accepted", "duplicates", "rejected", "unavailable")}
    assert counts == {"accepted": 2, "duplicates": 1, "rejected": 4, "unavailable": 0}
    assert (await ingest.store.head()).seq == 3


async def test_one_flawed_object_harms_nothing_else_in_its_batch(front: HttpIngest):
    good = json.dumps(standard()).encode()
    content = b"[" + good + b',{"symbol":"A","symbol":"B"},{"confidence":NaN},' + json.dumps(premium()).encode() + b"]"
    answer = await front.post(content, "/signals")
    assert [each["status"] for each in answer.json()["results"]] == ["success", "rejected", "rejected", "success"]
    assert [each["errors"][0]["field"] for each in answer.json()["results"][1:3]] == ["symbol", "confidence"]


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b'{"signals": 7}', b'"x"', b'{"signals": [], "signals": []}', b"[" + b"{}," * 500 + b"{}]"],
)
async def test_what_is_no_batch_is_unprocessable(front: HttpIngest, content: bytes):
    answer = await front.post(content, "/signals")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["signals"]


async def test_a_batch_of_five_hundred_is_taken(ingest: HttpIngest):
    answer = await ingest.post([submission() for _ in range(500)], "/signals")
    assert answer.json()["accepted"] == 500
    _, entries = await ingest.store.entries_after(0, 1000)
    assert [entry.seq for entry in entries] == list(range(1, 501))


async def test_a_batch_while_the_database_is_away_is_answered_as_a_whole(ingest: HttpIngest, database: Database):
    await close_tables(database)
    answer = await ingest.post([standard(), premium()], "/signals")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    judged = await ingest.post([standard(), standard() | {"symbol": "?"}], "/signals")
    assert [each["status"] for each in judged.json()["results"]] == ["unavailable", "rejected"]


async def test_health_needs_no_key(front: HttpIngest):
    answer = await front.client.get(f"{SYNC}/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_one_hundred_identical_requests_make_one_row(ingest: HttpIngest):
    sent = standard()
    answers = await asyncio.gather(*(ingest.post(sent) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [200] * 99 + [201]
    assert len({answer.json()["external_signal_id"] for answer in answers}) == 1
    assert (await ingest.store.head()).seq == 1


async def test_the_log_is_given_to_services_in_stored_bytes(ingest: HttpIngest):
    for sent in (standard(), premium(), standard()):
        await ingest.post(sent)
    answer = await ingest.client.get("/api/v1/log?after=1&limit=2", headers={"X-Service-Key": SERVICE_KEY})
    page = answer.json()
    assert (page["head"], page["standard_head"]) == (3, 2)
    assert [(each["seq"], each["standard_seq"], each["feed"]) for each in page["entries"]] == [
        (2, None, "all"),
        (3, 2, "standard"),
    ]
    _, entries = await ingest.store.entries_after(1, 2)
    assert all(entry.body in answer.content for entry in entries)
    only_standard = await ingest.client.get("/api/v1/log?after=1&feed=standard", headers={"X-Service-Key": SERVICE_KEY})
    assert [each["seq"] for each in only_standard.json()["entries"]] == [3]


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=1001", "after=x", "feed=premium", f"after={2**60}"])
async def test_a_wrong_query_is_named(front: HttpIngest, query: str):
    answer = await front.client.get(f"/api/v1/log?{query}", headers={"X-Service-Key": SERVICE_KEY})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.split("=", maxsplit=1)[0]


@pytest.mark.parametrize("headers", [{}, {"X-Service-Key": "wrong"}, {"X-API-Key": KEYS["acme"]}])
async def test_the_log_is_for_services_only(front: HttpIngest, headers: dict[str, str]):
    assert (await front.client.get("/api/v1/log", headers=headers)).status_code == 401


async def test_openapi_describes_the_bodies_and_every_answer(front: HttpIngest):
    paths = (await front.client.get("/openapi.json")).json()["paths"]
    single, batch = paths[f"{SYNC}/signal"]["post"], paths[f"{SYNC}/signals"]["post"]
    assert set(single["responses"]) == {"200", "201", "400", "401", "403", "409", "413", "422", "429", "503"}
    assert set(batch["responses"]) == {"200", "401", "403", "413", "422", "429", "503"}
    schema = single["requestBody"]["content"]["application/json"]["schema"]
    assert {"signal_id", "symbol", "action", "entry_price", "confidence", "timestamp"} <= set(schema["required"])
    assert single["security"] == [{"X-API-Key": []}]
