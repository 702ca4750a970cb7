"""Limits per user over real replicas: connections, by the newest of all; and what killed replicas leave behind."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.backends import Backends
from tests.support.clients import SocketClient
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory
from tests.unit.gateway.doubles import until

HANDSHAKES, LIMIT = 200, 5
EVICTED = 4502


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Three replicas for all tests of this module, the last of which kills one."""
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("limits")) as factory:
        yield factory(gateways=3)


async def opened(client: SocketClient) -> SocketClient:
    await client.__aenter__()
    return client


async def cluster(stack: Stack, gateway: int) -> dict[str, Any]:
    async with stack.gateway_http(gateway=gateway) as http:
        return (await http.get("/ws/stats", params={"scope": "cluster"})).raise_for_status().json()


async def everyone_counts(stack: Stack, connections: int, *, gateways: tuple[int, ...], within: float = 20) -> None:
    """Wait until all replicas say, one right after the other, that there are so many connections in all.

    Each hears of the others' a moment later, so that one alone may say so on the way to another number.
    """
    async with asyncio.timeout(within):
        while {(await cluster(stack, gateway))["total_connections"] for gateway in gateways} != {connections}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def closed(clients: Sequence[SocketClient]) -> list[SocketClient]:
    """Those that have read that they were closed."""
    return [client for client in clients if client.close_code is not None]


async def test_two_hundred_handshakes_at_once_over_three_replicas_leave_as_many_as_the_tier_has(
    stack: Stack,
) -> None:
    await stack.set_tier("greedy", "pro")
    async with stack.client("modest") as modest:
        await modest.first("connected")
        clients = [stack.client("greedy", gateway=number % 3) for number in range(HANDSHAKES)]
        await asyncio.gather(*(opened(client) for client in clients))
        try:
            await until(lambda: len(closed(clients)) >= HANDSHAKES - LIMIT, within=20)  # from now on counts only sink
            await everyone_counts(stack, LIMIT + 1, gateways=(0, 1, 2))
            gone = closed(clients)
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


async def test_a_reconnect_at_the_limit_is_let_in_and_the_oldest_goes_wherever_it_is(stack: Stack) -> None:
    async with stack.client("roamer") as first:
        await first.first("connected")  # each is there before the next comes: so it is the oldest
        async with stack.client("roamer", gateway=1) as second:
            await second.first("connected")
            await everyone_counts(stack, 2, gateways=(0, 1))
            async with stack.client("roamer", gateway=1) as third:
                await third.first("connected")
                assert await first.closed() == EVICTED
                await everyone_counts(stack, 2, gateways=(0, 1))
                await second.settled()
                await third.settled()


async def test_streams_and_sockets_count_together(stack: Stack) -> None:
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
            await everyone_counts(stack, 2, gateways=(0,))
            await first.settled()


async def test_after_a_replica_was_killed_devices_come_back_without_pushing_out_those_that_stayed(stack: Stack) -> None:
    async with stack.client("tenant") as stayed:  # a starter has two
        await stayed.first("connected")
        lost = await opened(stack.client("tenant", gateway=2))
        await everyone_counts(stack, 2, gateways=(0, 1, 2))
        stack.gateways[2].kill()
        await lost.closed()
        async with stack.client("tenant", gateway=1) as back:
            await back.first("connected")
            await everyone_counts(stack, 2, gateways=(0, 1))  # the killed one is forgotten
            await stayed.settled()
            await back.settled()
            async with stack.client("tenant", gateway=1) as third:
                await third.first("connected")
                assert await stayed.closed() == EVICTED
                await back.settled()
    await lost.__aexit__(None, None, None)
