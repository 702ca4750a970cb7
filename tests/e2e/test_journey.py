"""A signal's journey through real processes, as producers and paying users see it."""

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.node import Node
from tests.support.producers import premium, signed, standard, submission
from tests.support.stack import PRODUCER, Stack
from tests.support.stack_factory import StackFactory

NODE_PRODUCER = Path(__file__).parent / "node" / "publish.mjs"


async def test_pro_sees_everything_and_starter_sees_no_premium_and_no_gap(stack: Stack) -> None:
    await stack.set_tier("journey-pro", "pro")
    async with stack.client("journey-pro") as pro, stack.client("journey-starter") as starter:
        await pro.first("connected")
        assert (await starter.first("connected"))["user_tier"] == "starter"
        sent = [premium() if number % 3 else standard() for number in range(30)]
        await stack.publish_all(sent)
        await pro.signals_received(30)
        await starter.signals_received(10)
        await starter.settled()
        assert len(starter.signals) == 10
        assert {data["type"] for data in starter.data} == {"STANDARD"}
        for client in (pro, starter):
            assert client.seqs == list(range(client.seqs[0], client.seqs[0] + len(client.seqs)))
        assert [data["hash"] for data in pro.data] == [signal["sha256"] for signal in sent]
        assert not any(b"PREMIUM" in raw for raw in starter.raw)


async def test_one_signal_over_three_ways_is_stored_once_and_a_changed_copy_is_a_conflict(
    stack: Stack, node: Node
) -> None:
    signal = premium(reasoning="Überkauft ✓")
    await stack.set_tier("thrice", "elite")
    async with stack.client("thrice") as client, stack.client("thrice") as witness:
        await client.first("connected")
        await witness.first("connected")
        with stack.amqp_producer() as producer:
            producer.publish(signal)
            node.run(NODE_PRODUCER, stack.amqp_url, json.dumps(signal), producer.user, PRODUCER)
        await client.signals_received(1)
        answer = curl(stack, signal)
        assert answer == (
            200,
            {"status": "duplicate", "signal_id": signal["signal_id"], "external_signal_id": client.data[0]["id"]},
        )
        changed = signed({**signal, "entry_price": 1.25})
        status, problem = curl(stack, changed)
        assert (status, problem["code"]) == (409, "conflict")
        with stack.amqp_producer() as producer:
            producer.publish(changed)
        dead = await stack.dead_letter(str(signal["signal_id"]))
        assert dead.headers["x-reason"] == "conflict"
        assert json.loads(dead.body) == changed
        last = standard()
        assert (await stack.publish(last)).status_code == 201
        await witness.signals_received(2)
        assert [data["hash"] for data in witness.data] == [signal["sha256"], last["sha256"]]


def curl(stack: Stack, signal: dict[str, object]) -> tuple[int, dict[str, object]]:
    """Submit with curl, as the README shows it."""
    command = ["curl", "-sS", "-w", "\n%{http_code}", f"{stack.ingest.url}/api/v1/external-signals/sync/signal"]
    command += ["-H", f"X-API-Key: {stack.api_key}", "-H", "Content-Type: application/json", "-d", json.dumps(signal)]
    body, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    return int(status), json.loads(body)


async def test_a_change_of_tier_shows_on_the_live_socket(stack: Stack) -> None:
    user = f"climber-{uuid4().hex[:8]}"
    async with stack.client(user) as client:
        await client.first("connected")
        await stack.publish_all([premium(), standard()])
        await client.signals_received(1)

        await stack.set_tier(user, "pro", reason="paid")
        changed = await client.first("tier_changed")
        assert (changed["user_tier"], changed["previous_tier"], changed["reason"]) == ("pro", "starter", "paid")
        await stack.publish_all([premium(), standard()])
        await client.signals_received(3)

        await stack.set_tier(user, "starter", reason="cancelled")
        await client.until(lambda _: len(client.of("tier_changed")) == 2)
        await stack.publish_all([premium(), premium(), standard()])
        await client.signals_received(4)
        await client.settled()
        assert [data["type"] for data in client.data] == ["STANDARD", "PREMIUM", "STANDARD", "STANDARD"]


async def test_a_client_that_resumes_gets_what_it_missed_once_and_marked(stack: Stack) -> None:
    await stack.set_tier("resumer", "pro")
    async with stack.client("resumer") as client:
        await client.first("connected")
        await stack.publish_all([standard()])
        cursor = (await client.signals_received(1))[0]["cursor"]
    missed = [premium(), standard(), premium()]
    async with stack.client("resumer") as witness:
        await witness.first("connected")
        await stack.publish_all(missed)
        await witness.signals_received(3)  # so that the gateway has them, and they are no longer live
    async with stack.client("resumer", cursor=cursor) as client:
        assert (await client.first("connected"))["recovered"] is True
        await client.signals_received(3)
        live = standard()
        assert (await stack.publish(live)).status_code == 201
        await client.signals_received(4)
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in [*missed, live]]
        assert [frame.get("replay") for frame in client.signals] == [True, True, True, None]


async def test_a_filter_follows_the_client_and_history_is_served_from_memory(stack: Stack) -> None:
    await stack.set_tier("picky", "pro")
    async with stack.client("picky", symbols="tsla,BTC/USD") as client:
        await client.first("connected")
        await stack.publish_all([standard(symbol="AAPL"), standard(symbol="BTC/USD"), premium(symbol="tsla")])
        await client.signals_received(2)
        await client.send({"type": "subscribe", "symbols": ["MSFT"]})
        assert (await client.first("subscribed"))["symbols"] == ["BTC/USD", "MSFT", "TSLA"]
        await client.send({"type": "unsubscribe", "symbols": ["TSLA"]})
        await client.until(lambda _: len(client.of("subscribed")) == 2)
        await stack.publish_all([standard(symbol="TSLA"), standard(symbol="MSFT")])
        await client.signals_received(3)
        assert [data["symbol"] for data in client.data] == ["BTC/USD", "TSLA", "MSFT"]
    async with stack.gateway_http("picky") as http:
        latest = await http.get("/api/v1/signals/latest", params={"limit": 3})
        assert [data["symbol"] for data in latest.json()] == ["MSFT", "TSLA", "TSLA"]
        again = await http.get(
            "/api/v1/signals/latest", params={"limit": 3}, headers={"If-None-Match": latest.headers["ETag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        stats = (await http.get("/ws/stats")).json()
        assert set(stats) == {"total_connections", "active_users", "users_by_tier"}


@pytest.mark.timeout(400)
async def test_ten_thousand_signals_as_fast_as_possible_arrive_once_and_in_order(make_stack: StackFactory) -> None:
    stack = make_stack(database="postgresql")
    await stack.set_tier("reader", "elite")
    sent = [submission(confidence=90.0 if number % 2 else 60.0) for number in range(10_000)]
    async with stack.client("reader") as pro, stack.client("someone") as starter:
        await pro.first("connected")
        await starter.first("connected")
        await stack.publish_over_amqp(sent)
        await pro.signals_received(10_000, within=300)
        await starter.signals_received(5_000, within=60)
        assert pro.seqs == list(range(1, 10_001))
        assert starter.seqs == list(range(1, 5_001))
        assert [data["hash"] for data in pro.data] == [signal["sha256"] for signal in sent]
    verified = stack.ingest.command("ledger", "verify")
    assert "10000" in verified.replace(",", "")
