"""Bad input of every kind gets its own answer, harms nothing beside it, and never a 5xx."""

import asyncio
import json
from collections.abc import Mapping
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.http import async_http
from tests.support.producers import premium, signed, standard
from tests.support.stack import Stack

SINGLE = "/api/v1/external-signals/sync/signal"
BULK = "/api/v1/external-signals/sync/signals"


def body(**overrides: object) -> bytes:
    """A valid submission's JSON, some values replaced by raw JSON text (a `str` starting with `=`)."""
    values = standard()
    raw = {name: value[1:] for name, value in overrides.items() if isinstance(value, str) and value.startswith("=")}
    values |= {name: f"<{name}>" for name in raw} | {n: v for n, v in overrides.items() if n not in raw}
    text = json.dumps(signed(values))
    for name, value in raw.items():
        text = text.replace(f'"<{name}>"', value)
    return text.encode()


DEEP = b"[" * 20_000 + b"]" * 20_000
BAD_BODIES: list[tuple[str, bytes, int, str]] = [
    ("wrong hash", json.dumps({**standard(), "sha256": "0" * 64}).encode(), 400, "sha256"),
    ("hash that is none", json.dumps({**standard(), "sha256": "xyz"}).encode(), 422, "sha256"),
    ("missing field", json.dumps({k: v for k, v in standard().items() if k != "symbol"}).encode(), 422, "symbol"),
    ("wrong action", body(action="HOLD"), 422, "action"),
    ("text for a number", body(entry_price="175"), 422, "entry_price"),
    ("boolean for a number", body(confidence=True), 422, "confidence"),
    ("confidence too high", body(confidence=101), 422, "confidence"),
    ("price of nothing", body(entry_price=0), 422, "entry_price"),
    ("NaN", body(entry_price="=NaN"), 422, "entry_price"),
    ("Infinity", body(confidence="=Infinity"), 422, "confidence"),
    ("huge number", body(entry_price="=1e400"), 422, "entry_price"),
    ("number of 5,000 digits", body(entry_price="=" + "9" * 5000), 422, "entry_price"),
    ("U+0000", body(reasoning="a\x00b"), 422, "reasoning"),
    ("half a surrogate pair", body(reasoning='="\\ud800"'), 422, "reasoning"),
    ("symbol too long", body(symbol="A" * 21), 422, "symbol"),
    ("time that is none", body(timestamp="yesterday"), 422, "timestamp"),
    ("not JSON", b"{", 422, "body"),
    ("not UTF-8", b'{"symbol":"\xff"}', 422, "body"),
    ("not an object", b"[]", 422, "body"),
    ("deep nesting", DEEP, 422, "body"),
    ("deep nesting inside", b'{"signal_id":' + DEEP[:30_000] + b"}", 422, "body"),
    ("too large", body(reasoning="x" * 70_000), 413, ""),
]


@pytest.mark.parametrize(
    ("payload", "status", "field"), [case[1:] for case in BAD_BODIES], ids=[case[0] for case in BAD_BODIES]
)
async def test_a_bad_body_is_refused_over_http_and_dead_lettered_over_amqp(
    stack: Stack, payload: bytes, status: int, field: str
) -> None:
    async with stack.producer_http() as http:
        answer = await http.post(SINGLE, content=payload, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    if field:
        named = [error["field"] for error in problem["errors"]]
        assert field in named, problem
    message_id = uuid4().hex
    with stack.amqp_producer() as producer:
        producer.publish(payload, message_id=message_id)
    dead = await stack.dead_letter(message_id)
    assert dead.body == payload
    assert dead.headers["x-reason"]
    assert field in str(dead.headers["x-error"])


async def test_a_wrong_or_missing_key_is_refused(stack: Stack) -> None:
    async with async_http(base_url=stack.ingest.url) as http:
        for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": stack.api_key + "x"}, {"X-API-Key": stack.admin_key}):
            answer = await http.post(SINGLE, json=standard(), headers=headers)
            assert answer.status_code == 401
            assert answer.json()["code"] in {"missing_key", "wrong_key"}


async def test_bad_signals_in_a_bulk_harm_no_other(stack: Stack) -> None:
    await stack.set_tier("bulk", "elite")
    good = [premium(), standard(), premium()]
    bad: list[Mapping[str, object]] = [
        {**standard(), "sha256": "0" * 64},
        signed({**standard(), "confidence": 100.5}),
        signed({**standard(), "reasoning": "a\x00b"}),
        signed({**good[0], "entry_price": 3.5}),
        {},
    ]
    mixed = [good[0], bad[0], bad[1], good[1], bad[2], bad[3], bad[4], good[2], good[1]]
    async with stack.client("bulk") as client:
        await client.first("connected")
        async with stack.producer_http() as http:
            answer = await http.post(BULK, json={"signals": mixed})
        assert answer.status_code == 200
        results = answer.json()["results"]
        assert [result["http_status"] for result in results] == [201, 400, 422, 201, 422, 409, 422, 201, 200]
        assert results[2]["errors"][0]["field"] == "confidence"
        await client.signals_received(3)
        await client.settled()
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in good]


async def test_bad_messages_in_the_queue_hold_up_no_good_one(stack: Stack) -> None:
    await stack.set_tier("queue", "elite")
    good = [premium() for _ in range(50)]
    async with stack.client("queue") as client:
        await client.first("connected")
        with stack.amqp_producer() as producer:
            for number, signal in enumerate(good):
                if number % 5 == 0:
                    producer.publish(b"poison", message_id=f"poison-{number}")
                producer.publish(signal)
        await client.signals_received(50)
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in good]
    for number in range(0, 50, 5):
        assert (await stack.dead_letter(f"poison-{number}")).body == b"poison"


async def test_a_message_without_the_brokers_word_for_its_user_is_dead_lettered(stack: Stack) -> None:
    signal = premium()
    with stack.amqp_producer() as producer:
        producer.publish(signal, user_id=None)
    dead = await stack.dead_letter(str(signal["signal_id"]))
    assert dead.headers["x-reason"] == "no_user_id"


async def test_bad_requests_to_tiers_are_refused(stack: Stack) -> None:
    async with async_http(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}) as http:
        unknown = await http.put("/api/v1/users/u/tier", json={"tier": "platinum", "reason": "r"})
        assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "tier")
        assert "starter" in unknown.json()["detail"]
        broken = await http.put("/api/v1/users/u/tier", content=b"{", headers={"Content-Type": "application/json"})
        assert broken.status_code == 422
        unnamed = await http.put("/api/v1/users/%00/tier", json={"tier": "pro", "reason": "r"})
        assert unnamed.status_code == 422
        keyless = await http.put("/api/v1/users/u/tier", json={"tier": "pro"}, headers={"X-Admin-Key": "wrong"})
        assert keyless.status_code == 401


async def test_bad_tokens_are_refused_by_http_and_told_on_the_socket(stack: Stack) -> None:
    other_secret = jwt.encode({"alg": "HS256"}, {"sub": "mallory", "exp": 2**33}, OctKey.import_key("x" * 40))
    tokens = {
        "not a token": "abc",
        "other secret": other_secret,
        "expired": stack.token("mallory", exp=1),
        "other audience": stack.token("mallory", aud="elsewhere"),
        "other issuer": stack.token("mallory", iss="somebody"),
        "nobody": stack.token(""),
        "no end": stack.token("mallory", exp=None),
    }
    for name, token in tokens.items():
        async with stack.gateway_http() as http:
            answer = await http.get("/api/v1/signals/latest", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), name
        async with stack.client("mallory", token=token) as client:
            assert await client.closed() == 4500, name
            assert client.of("error")[0]["code"] == "invalid_token", name
            assert not client.of("connected"), name
    async with stack.client("nobody", token="") as client:
        await client.send({"type": "ping"})
        assert (await client.first("error"))["code"] == "bad_message"
        await client.send({"type": "auth", "token": stack.token("late")})
        assert (await client.first("connected"))["user_tier"] == "starter"


async def test_no_service_answered_5xx_or_logged_an_exception(stack: Stack) -> None:
    """The last of this module: everything above has happened on this stack."""
    await asyncio.sleep(0)
    for service in stack.services:
        log = service.log.read_text()
        assert "Traceback" not in log, service.kind
        for line in log.splitlines():
            if line.startswith("{"):
                assert json.loads(line)["level"] not in {"error", "critical"}, line
