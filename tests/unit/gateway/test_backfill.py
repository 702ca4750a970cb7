"""Resuming from before the rings begin: whole, under the entitlement of the moment, or refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.unit.gateway.doubles import EPOCH, FakeWire, Replica, wire
from tiercast_gateway.connection import Connection, Flow
from tiercast_shared.contracts.tiers import Tier


@asynccontextmanager
async def backfilling(replica: Replica) -> AsyncIterator[None]:
    """The replica's backfill works while the block does."""
    task = asyncio.create_task(replica.sessions.backfill.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(replica: Replica, condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            replica.turns.drain()
            await asyncio.sleep(0)


def live(connection: Connection) -> Callable[[], bool]:
    return lambda: connection.flow is Flow.LIVE


def seal(replica: Replica, position: int) -> str:
    return replica.cursors.seal(EPOCH, position)


async def test_what_left_the_rings_comes_from_the_log_and_live_signals_wait_behind_it() -> None:
    replica = Replica(capacity=8, page=7)
    replica.publish_all("sps" * 20)
    async with backfilling(replica):
        connection = replica.connect(resume=seal(replica, 3))
        replica.publish_all("ps")
        await until(replica, live(connection))
        replica.publish_all("p")
    assert wire(connection).positions == list(range(4, 64))
    replays = [frame.get("replay") for frame in wire(connection).of("new_signal")]
    assert replays == [True] * 57 + [None] * 3
    assert len(replica.log_client.asked) > 5


async def test_a_starter_is_replayed_the_standard_feed_with_its_own_numbers() -> None:
    replica = Replica(capacity=4, page=5)
    replica.publish_all("sp" * 20)
    async with backfilling(replica):
        connection = replica.connect("alice", Tier.STARTER, resume=seal(replica, 1))
        await until(replica, live(connection))
    assert [frame["seq"] for frame in wire(connection).of("new_signal")] == list(range(2, 21))


async def test_a_page_asked_for_as_pro_is_not_written_to_a_starter() -> None:
    replica = Replica(capacity=4)
    replica.publish_all("sp" * 20)
    connection = replica.connect(resume=seal(replica, 1))
    ask = replica.log_client.after

    async def downgraded_meanwhile(*arguments: object, **options: object) -> object:
        page = await ask(*arguments, **options)  # type: ignore[arg-type]
        if replica.sessions.by_tier[Tier.PRO]:
            replica.set_tier("alice", Tier.STARTER)
        return page

    replica.log_client.after = downgraded_meanwhile  # type: ignore[method-assign, assignment]
    async with backfilling(replica):
        await until(replica, live(connection))
    assert {frame["data"]["type"] for frame in wire(connection).of("new_signal")} == {"STANDARD"}
    assert wire(connection).kinds[:2] == ["connected", "tier_changed"]


async def test_a_congested_connection_is_sent_no_page_before_it_has_drained() -> None:
    replica = Replica(capacity=4, page=5)
    replica.publish_all("s" * 30)
    async with backfilling(replica):
        connection = replica.connect(resume=seal(replica, 0))
        fake = connection.wire
        assert isinstance(fake, FakeWire)
        fake.room = 0
        replica.sessions.received(connection, '{"type":"ping"}')
        assert fake.congested
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(replica.log_client.asked) <= 1
        fake.drain()
        await until(replica, live(connection))
    assert wire(connection).positions == list(range(1, 31))


@pytest.mark.parametrize("reason", ["feed_recreated", "cursor_too_old", "log_unavailable"])
async def test_what_the_log_cannot_give_whole_is_refused(reason: str) -> None:
    replica = Replica(capacity=4, retry_seconds=0)
    replica.publish_all("s" * 30)
    replica.log_client.epoch = "epoch-2" if reason == "feed_recreated" else EPOCH
    replica.log_client.floor = 10 if reason == "cursor_too_old" else 0
    replica.log_client.failing = reason == "log_unavailable"
    async with backfilling(replica):
        connection = replica.connect(resume=seal(replica, 5))
        await until(replica, live(connection))
        replica.publish()
    assert [frame["reason"] for frame in wire(connection).of("resync_required")] == [reason]
    assert wire(connection).positions == [31]


async def test_premium_signals_withheld_while_the_lease_was_over_are_made_good() -> None:
    replica = Replica()
    connection = replica.connect()
    replica.publish_all("sp")
    replica.monotonic.advance(31)
    replica.sessions.sweep()
    replica.publish_all("spsp")
    replica.tiers.beacon(EPOCH, replica.tiers.applied)
    replica.sessions.sweep()
    replica.publish_all("ps")
    changes = [(frame["user_tier"], frame["reason"]) for frame in wire(connection).of("tier_changed")]
    assert changes == [("starter", "unverified"), ("pro", "verified")]
    assert wire(connection).positions == [1, 2, 3, 5, 4, 6, 7, 8]
    replays = [frame["data"]["id"] for frame in wire(connection).of("new_signal") if frame.get("replay")]
    assert len(replays) == 2


async def test_who_lost_the_tier_meanwhile_is_made_no_good() -> None:
    replica = Replica()
    connection = replica.connect()
    replica.monotonic.advance(31)
    replica.sessions.sweep()
    replica.publish_all("pp")
    replica.set_tier("alice", Tier.STARTER)
    replica.tiers.beacon(EPOCH, replica.tiers.applied)
    replica.sessions.sweep()
    replica.set_tier("alice", Tier.PRO)
    replica.publish_all("p")
    assert wire(connection).positions == [3]
