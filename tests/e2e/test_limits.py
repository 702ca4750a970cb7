"""Limits per user over real replicas: connections, by the newest of all; and what killed replicas leave behind."""

import asyncio
from typing import Any

from tests.support.clients import SocketClient
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

HANDSHAKES, LIMIT = 200, 5
EVICTED = 4502


async def opened(client: SocketClient) -> SocketClient:
    await client.__aenter__()
    return client


async def cluster(stack: Stack, gateway: int) -> dict[str, Any]:
    async with stack.gateway_http(gateway=gateway) as http:
        return (await http.get("/ws/stats", params={"scope": "cluster"})).raise_for_status().json()


async def everyone_counts(stack: Stack, connections: int, *, gateways: tuple[int, ...], within: float = 20) -> None:
    """Wait until each replica says that there are so many connections in all."""
    async with asyncio.timeout(within):
        for gateway in gateways:
            while (await cluster(stack, gateway))["total_connections"] != connections:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.05)


async def test_two_hundred_handshakes_at_once_over_three_replicas_leave_as_many_as_the_tier_has(
    make_stack: StackFactory,
) -> None:
    stack = make_stack(gateways=3)
    await stack.set_tier("greedy", "pro")
    async with stack.client("modest") as modest:
        await modest.first("connected")
        clients = [stack.client("greedy", gateway=number % 3) for number in range(HANDSHAKES)]
        await asyncio.gather(*(opened(client) for client in clients))
        try:
            await everyone_counts(stack, LIMIT + 1, gateways=(0, 1, 2))
            gone = [client for client in clients if client.close_code is not None]
            assert len(gone) == HANDSHAKES - LIMIT
            assert {client.close_code for client in gone} == {EVICTED}
            assert {client.of("error")[0]["code"] for client in gone} == {"too_many_connections"}
            assert await cluster(stack, 0) == {
                "total_connections": LIMIT + 1,
                "active_users": 2,
                "users_by_tier": {"starter": 1, "pro": LIMIT, "elite": 0},
            }
            async with stack.gateway_http(gateway=0) as http:
                alone = (await http.get("/ws/stats")).json()["total_connections"]
            assert alone <= LIMIT + 1
            await modest.settled()
        finally:
            await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))


async def test_a_reconnect_at_the_limit_is_let_in_and_the_oldest_goes_wherever_it_is(make_stack: StackFactory) -> None:
    stack = make_stack(gateways=2)
    async with stack.client("roamer") as first, stack.client("roamer", gateway=1) as second:
        await first.first("connected")
        await second.first("connected")
        await everyone_counts(stack, 2, gateways=(0, 1))
        async with stack.client("roamer", gateway=1) as third:
            await third.first("connected")
            assert await first.closed() == EVICTED
            await everyone_counts(stack, 2, gateways=(0, 1))
            await second.settled()
            await third.settled()


async def test_a_killed_replica_counts_for_a_few_seconds_only(make_stack: StackFactory) -> None:
    stack = make_stack(gateways=2)
    lost = [await opened(stack.client("tenant", gateway=1)) for _ in range(2)]
    await everyone_counts(stack, 2, gateways=(0, 1))
    stack.gateways[1].kill()
    async with stack.client("tenant") as first:
        await first.first("connected")  # at the limit, but the lost ones are the oldest
        await everyone_counts(stack, 1, gateways=(0,))
        async with stack.client("tenant") as second:
            await second.first("connected")
            await first.settled()
    for client in lost:
        await client.__aexit__(None, None, None)


async def test_streams_and_sockets_count_together(make_stack: StackFactory) -> None:
    stack = make_stack()
    async with (
        stack.gateway_http("mixed") as http,
        http.stream("GET", "/api/v1/signals/stream") as stream,
    ):
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry")
        await everyone_counts(stack, 1, gateways=(0,))
        async with stack.client("mixed") as first, stack.client("mixed") as second:
            await first.first("connected")
            await second.first("connected")
            async for _ in lines:
                pass  # it ends: the stream was the oldest of three, and a starter has two
            assert (await cluster(stack, 0))["total_connections"] == 2
            await first.settled()
