"""A stream ends when it must, and what it waits for never hides that it was ended."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.gateway.doubles import NOW, Replica, make_feed
from tiercast_gateway.callers import Caller
from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.streams import EventStream, Streams
from tiercast_shared.contracts.tiers import Tier


def streams() -> Streams:
    return Streams(make_feed().feed, None, None, None)  # type: ignore[arg-type] # nobody asks them


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_waiting_ends_with_news_or_without() -> None:
    waited_for = streams()
    waiting = asyncio.create_task(waited_for.wait(60))
    await turns(3)

    waited_for.news()

    assert await waiting
    assert not await waited_for.wait(0)


@pytest.mark.parametrize("between", range(4))
async def test_a_stream_that_is_ended_while_news_come_is_ended(between: int) -> None:
    """A downgrade cancels the stream's task: lost in the news, it would send premium signals on."""
    waited_for = streams()

    async def stream() -> None:
        while True:
            await waited_for.wait(60)

    streaming = asyncio.create_task(stream())
    await turns(3)
    waited_for.news()
    await turns(between)

    streaming.cancel()

    await asyncio.wait({streaming}, timeout=1)
    assert streaming.cancelled(), "it goes on as if it had not been ended"


@asynccontextmanager
async def streaming(replica: Replica):
    """A stream that has begun, of a token that ends a minute from now, and the sweep that looks after it."""
    streams = Streams(replica.feed, replica.missed, replica.tiers, replica.limits, clock=replica.clock)
    replica.tiers.asking(["alice"])
    replica.answer(alice=Tier.PRO)
    caller = Caller("alice", Tier.PRO, DEFAULT_ENTITLEMENTS[Tier.PRO], issued_at=NOW, expires_at=NOW + 60)
    begun = asyncio.Event()

    async def send(message: Any) -> None:
        if message.get("body"):
            begun.set()

    task = asyncio.ensure_future(EventStream(streams, caller, None)({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
    await begun.wait()
    yield task, streams.sweep
    task.cancel()
    await asyncio.wait({task})


def expire(replica: Replica) -> None:
    replica.clock.advance(60)


def revoke(replica: Replica) -> None:
    replica.revoke("alice", NOW + 1)


def downgrade(replica: Replica) -> None:
    replica.set_tier("alice", Tier.STARTER)


def lose_the_lease(replica: Replica) -> None:
    replica.monotonic.advance(31)


@pytest.mark.parametrize("happens", [expire, revoke, downgrade, lose_the_lease])
async def test_a_stream_outlives_neither_its_token_nor_its_tier(happens: Callable[[Replica], None]) -> None:
    replica = Replica()
    async with streaming(replica) as (stream, sweep):
        replica.clock.advance(59)
        sweep()
        assert not (await asyncio.wait({stream}, timeout=0.05))[0]

        happens(replica)
        sweep()

        async with asyncio.timeout(10):
            await stream
