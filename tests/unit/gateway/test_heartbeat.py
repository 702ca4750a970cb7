"""One beat for all: who is silent ends, who is full is left alone, and nothing is sent behind a close frame."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.unit.gateway.doubles import Replica, token, until, wire
from tiercast_gateway.connection import Connection
from tiercast_gateway.heartbeat import PER_TURN, heartbeat
from tiercast_shared.contracts.close_codes import CloseCode


@asynccontextmanager
async def beating(replica: Replica) -> AsyncIterator[None]:
    replica.sessions.heartbeat_seconds = 0.01
    task = asyncio.create_task(heartbeat(replica.sessions))
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pings(connection: Connection) -> int:
    return wire(connection).pings


async def test_everyone_is_pinged_at_each_beat_and_open_ones_are_told_their_number() -> None:
    replica = Replica()
    opened, stranger, waiting = replica.connect(), replica.socket(), replica.socket()
    replica.sessions.opened(stranger, None)
    replica.sessions.opened(waiting, token("bob"))

    async with beating(replica):
        await until(lambda: all(pings(connection) >= 2 for connection in (opened, stranger, waiting)))

    assert wire(opened).kinds[:3] == ["connected", "ping", "ping"]
    assert wire(stranger).frames == wire(waiting).frames == []


async def test_who_was_silent_since_the_last_beat_is_closed_with_4004() -> None:
    replica = Replica()
    alive, silent = replica.connect("alice"), replica.connect("bob")
    wire(silent).alive = False

    async with beating(replica):
        await until(lambda: wire(silent).closes and pings(alive) >= 2)

    assert wire(silent).close_code == CloseCode.NO_PONG
    assert pings(silent) == 1
    assert wire(alive).closes == []


async def test_who_leaves_during_a_long_beat_is_not_pinged_any_more() -> None:
    replica = Replica()
    connections = [replica.connect(f"user-{number}") for number in range(2 * PER_TURN)]
    first, last = connections[0], connections[-1]
    ping = wire(first).ping

    def ping_while_the_last_one_leaves() -> bool:
        replica.sessions.close(last, CloseCode.TOKEN_EXPIRED, "over")
        return ping()

    wire(first).ping = ping_while_the_last_one_leaves  # type: ignore[method-assign]
    async with beating(replica):
        await until(lambda: pings(first) >= 2)

    assert pings(last) == 0
