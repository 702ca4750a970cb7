"""Resuming, on another replica and from far behind; silence upstream; a new life of the log."""

from tests.support.producers import premium, standard
from tests.support.stack_factory import StackFactory

SMALL = {"GATEWAY_RING_CAPACITY": "1000", "GATEWAY_MAX_REPLAY": "5000"}


async def test_a_client_resumes_on_another_replica_from_before_its_memory(make_stack: StackFactory) -> None:
    stack = make_stack(gateways=2, settings=SMALL)
    await stack.set_tier("far", "pro")
    async with stack.client("far") as client, stack.client("poor") as poor:
        await client.first("connected")
        await poor.first("connected")
        await stack.publish_all([standard()])
        cursor = (await client.signals_received(1))[0]["cursor"]
        assert (await poor.signals_received(1))[0]["cursor"] == cursor
    sent = [premium() if number % 4 else standard() for number in range(3000)]
    await stack.publish_all(sent)
    async with stack.client("far", gateway=1, cursor=cursor) as client:
        assert (await client.first("connected"))["recovered"] is True
        live = standard()
        await stack.publish_all([live])
        await client.signals_received(3001, within=30)
        assert client.seqs == list(range(2, 3003))
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in [*sent, live]]
        assert not client.of("resync_required")
    async with stack.client("poor", gateway=1, cursor=cursor) as client:
        await client.signals_received(751, within=30)
        assert client.seqs == list(range(2, 753))
        assert {data["type"] for data in client.data} == {"STANDARD"}


async def test_a_resume_from_too_far_behind_is_refused_in_words(make_stack: StackFactory) -> None:
    stack = make_stack(settings=SMALL | {"GATEWAY_MAX_REPLAY": "100"})
    async with stack.client("late") as client:
        await client.first("connected")
        await stack.publish_all([standard()])
        cursor = (await client.signals_received(1))[0]["cursor"]
        await stack.publish_all([standard() for _ in range(101)])
        await client.signals_received(102)
    for given, reason in ((cursor, "cursor_too_old"), ("x" * 43, "invalid_cursor")):
        async with stack.client("late", cursor=given) as client:
            assert (await client.first("connected"))["recovered"] is False
            assert (await client.first("resync_required"))["reason"] == reason
            await stack.publish_all([standard()])
            await client.signals_received(1)


async def test_clients_are_told_when_upstream_is_silent_and_when_it_is_back(make_stack: StackFactory) -> None:
    stack = make_stack()
    async with stack.client("listener") as client:
        await client.first("connected")
        stack.ingest.kill()
        await client.first("stale")
        stack.gateway.wait_ready(within=1)
        async with stack.client("latecomer") as late:
            await late.first("stale")
        stack.ingest.start()
        await client.first("fresh")
        await stack.publish_all([standard()])
        await client.signals_received(1)


async def test_a_new_epoch_makes_everyone_fetch_anew(make_stack: StackFactory) -> None:
    stack = make_stack()
    async with stack.client("witness") as client:
        await client.first("connected")
        await stack.publish_all([standard()])
        cursor = (await client.signals_received(1))[0]["cursor"]
        stack.ingest.command("epoch", "rotate")
        assert (await client.first("resync_required"))["reason"] == "feed_recreated"
        await stack.publish_all([standard()])
        await client.signals_received(2)
    async with stack.client("witness", cursor=cursor) as client:
        assert (await client.first("connected"))["recovered"] is False
        assert (await client.first("resync_required"))["reason"] == "feed_recreated"


async def test_a_deploy_sends_clients_away_with_their_cursor_and_loses_nothing(make_stack: StackFactory) -> None:
    stack = make_stack(gateways=2, settings={"GATEWAY_DRAIN_SECONDS": "2"})
    await stack.set_tier("moving", "elite")
    first = [stack.client("moving") for _ in range(20)]
    for client in first:
        await client.__aenter__()
        await client.first("connected")
    await stack.publish_all([premium() for _ in range(10)])
    stack.gateway.terminate()
    await stack.publish_all([premium() for _ in range(10)])
    for client in first:
        assert await client.closed() == 4001
        farewell = client.of("reconnect")[0]
        assert 0 <= farewell["retry_after_ms"] <= 1000
        async with stack.client("moving", gateway=1, cursor=farewell["cursor"]) as again:
            await again.signals_received(20 - len(client.signals)) if len(client.signals) < 20 else None
            assert [*client.seqs, *again.seqs] == list(range(1, 21))
        await client.__aexit__(None, None, None)
    assert await stack.gateway.ended() == 0


async def test_while_a_replica_drains_it_lets_nobody_in_and_says_so(make_stack: StackFactory) -> None:
    stack = make_stack(settings={"GATEWAY_DRAIN_SECONDS": "300"})
    clients = [stack.client(f"staying-{number}") for number in range(3)]
    for client in clients:
        await client.__aenter__()
        await client.first("connected")
    stack.gateway.terminate()
    async with stack.gateway_http() as http:
        ready = await http.get("/readyz")
        while ready.status_code == 200:
            ready = await http.get("/readyz")
        assert "draining" in ready.json()["missing"]
        assert (await http.get("/healthz")).status_code == 200
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
        refused = await http.get("/ws/signals", headers=upgrade)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    stack.gateway.terminate()
    for client in clients:
        assert await client.closed(within=5) == 4001
        await client.__aexit__(None, None, None)
    assert await stack.gateway.ended(within=15) == 0


async def test_what_was_withheld_from_a_client_that_was_cut_off_comes_on_another_replica(
    make_stack: StackFactory,
) -> None:
    stack = make_stack(gateways=2)
    await stack.set_tier("cut", "pro")
    stack.tiers.kill()
    sent = [standard(), premium(), standard(), premium()]
    async with stack.client("cut") as client:
        assert (await client.first("connected"))["user_tier"] == "starter"
        await stack.publish_all(sent)
        cursor = (await client.signals_received(2))[-1]["cursor"]
    stack.tiers.start()
    async with stack.client("cut", gateway=1, cursor=cursor) as client:
        connected = await client.first("connected")
        assert (connected["user_tier"], connected["recovered"]) == ("pro", True)
        replayed = await client.signals_received(4)
        assert [frame["replay"] for frame in replayed] == [True] * 4
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in sent]
