"""Backfilling while everything else happens to the same connection: nothing twice, and nothing missing that is owed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.unit.gateway.doubles import EPOCH, Replica, say, token, wire
from tiercast_gateway.backfill import PAGE
from tiercast_gateway.connection import Connection, Flow
from tiercast_gateway.tier_cache import LEASE_SECONDS
from tiercast_shared.contracts.tiers import Tier, TierLookup, TierState


@asynccontextmanager
async def backfilling(replica: Replica) -> AsyncIterator[None]:
    task = asyncio.create_task(replica.sessions.backfill.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(replica: Replica, condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            replica.turns.drain()
            await asyncio.sleep(0)


def resuming(replica: Replica, position: int = 0) -> Connection:
    connection = replica.connect(resume=replica.cursors.seal(EPOCH, position))
    assert connection.flow is Flow.BACKFILLING
    return connection


def lapse(replica: Replica) -> None:
    """The tier lease runs out."""
    replica.monotonic.advance(LEASE_SECONDS + 1)
    replica.sessions.sweep()


def renew(replica: Replica) -> None:
    replica.tiers.beacon(EPOCH, replica.tiers.applied)
    replica.sessions.sweep()
    replica.turns.drain()


async def test_a_socket_that_fills_up_and_drains_while_a_page_is_awaited_gets_nothing_twice() -> None:
    replica = Replica(capacity=4)
    replica.publish_all("sp" * PAGE)
    connection = resuming(replica)
    ask = replica.log_client.after

    async def slowly(*arguments: object, **options: object) -> object:
        await asyncio.sleep(0.01)
        return await ask(*arguments, **options)  # type: ignore[arg-type]

    replica.log_client.after = slowly  # type: ignore[method-assign, assignment]
    for _ in range(3):
        wire(connection).room = 0
        say(replica, connection, type="ping")
        wire(connection).drain()

    async with backfilling(replica):
        await until(replica, lambda: connection.flow is Flow.LIVE)

    assert wire(connection).positions == list(range(1, 2 * PAGE + 1))


async def test_premium_signals_withheld_during_a_backfill_are_made_good() -> None:
    replica = Replica(capacity=4)
    replica.publish_all("sp" * 20)
    connection = resuming(replica)

    lapse(replica)
    async with backfilling(replica):
        await until(replica, lambda: connection.flow is Flow.LIVE)
        renew(replica)
        replica.publish_all("ps")
        await until(replica, lambda: connection.flow is Flow.LIVE)

    assert sorted(wire(connection).positions) == list(range(1, 43))


async def test_a_tier_that_is_verified_again_in_the_middle_of_a_backfill_owes_what_was_withheld() -> None:
    replica = Replica(capacity=4)
    replica.publish_all("sp" * 2 * PAGE)
    connection = resuming(replica)
    ask = replica.log_client.after

    async def renewed_at_the_second_page(*arguments: object, **options: object) -> object:
        if len(replica.log_client.asked) == 1:
            renew(replica)
        return await ask(*arguments, **options)  # type: ignore[arg-type]

    lapse(replica)
    replica.log_client.after = renewed_at_the_second_page  # type: ignore[method-assign, assignment]
    async with backfilling(replica):
        await until(replica, lambda: connection.flow is Flow.LIVE)

    assert sorted(wire(connection).positions) == list(range(1, 4 * PAGE + 1))


def test_a_user_who_was_let_in_unverified_gets_the_tier_and_what_was_withheld_as_soon_as_it_is_known() -> None:
    """The look-up was answered from before a change that is known to exist, and the lease is over."""
    replica = Replica()
    lapse(replica)
    replica.tiers.beacon(EPOCH, 1)
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))
    state = TierState(tier=Tier.PRO, version=0)
    replica.tiers.answered(TierLookup(epoch=EPOCH, head=0, tiers={"alice": state}))
    assert wire(connection).of("connected")[0]["user_tier"] == "starter"
    replica.publish_all("ps")

    replica.set_tier("bob", Tier.PRO)  # what was missing
    renew(replica)
    replica.publish_all("p")

    assert wire(connection).of("tier_changed")[0]["user_tier"] == "pro"
    assert sorted(wire(connection).positions) == [1, 2, 3]


def test_a_user_let_in_unverified_between_two_sweeps_is_verified_by_the_next() -> None:
    replica = Replica()
    replica.monotonic.advance(LEASE_SECONDS + 1)
    replica.tiers.beacon(EPOCH, 1)
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))
    replica.tiers.answered(TierLookup(epoch=EPOCH, head=0, tiers={"alice": TierState(tier=Tier.PRO, version=0)}))

    replica.set_tier("bob", Tier.PRO)
    renew(replica)

    assert [frame["user_tier"] for frame in wire(connection).of("tier_changed")] == ["pro"]


def test_no_standard_signal_is_skipped_when_withheld_ones_are_made_good_in_the_middle_of_a_replay() -> None:
    replica = Replica()
    replica.publish_all("sp" * 200)
    connection = replica.socket(resume=replica.cursors.seal(EPOCH, 0))
    wire(connection).room = 30_000
    replica.sessions.opened(connection, token("alice"))
    replica.answer(alice=Tier.PRO)
    replica.turns.drain()
    assert connection.flow is Flow.PAUSED

    lapse(replica)
    wire(connection).drain(room=30_000)
    replica.turns.drain()
    assert connection.flow is Flow.PAUSED
    renew(replica)
    wire(connection).drain()
    replica.turns.drain()

    assert sorted(wire(connection).positions) == list(range(1, 401))


def test_a_starter_who_was_let_in_unverified_is_owed_nothing_at_a_later_upgrade() -> None:
    replica = Replica()
    lapse(replica)
    replica.tiers.beacon(EPOCH, 1)
    connection = replica.socket()
    replica.sessions.opened(connection, token("alice"))
    replica.tiers.answered(TierLookup(epoch=EPOCH, head=0, tiers={"alice": TierState(tier=Tier.STARTER, version=0)}))
    replica.publish_all("ps")
    replica.set_tier("bob", Tier.PRO)
    renew(replica)
    replica.publish_all("ps")

    replica.set_tier("alice", Tier.PRO)
    replica.publish_all("p")

    assert wire(connection).positions == [2, 4, 5]


def test_who_resumes_while_the_tiers_cannot_be_looked_up_is_owed_premium_signals_from_the_cursor_on() -> None:
    replica = Replica()
    replica.publish_all("spp")
    connection = replica.socket(resume=replica.cursors.seal(EPOCH, 1))
    replica.sessions.opened(connection, token("alice"))

    replica.sessions.tier_unknown("alice")
    replica.answer(alice=Tier.PRO)
    replica.turns.drain()

    assert wire(connection).positions == [2, 3]


def test_a_sweep_between_a_signal_and_its_round_gives_nobody_up() -> None:
    replica = Replica(writes_per_step=1)
    for number in range(3):
        replica.connect(f"other-{number}")
    replica.publish(turn=False)
    replica.turns.one()  # a round has begun
    replica.publish(turn=False)  # and this one waits for the next
    connection = replica.socket(resume=replica.cursors.seal(EPOCH, 2))
    replica.sessions.opened(connection, token("alice"))
    replica.answer(alice=Tier.PRO)
    assert connection.flow is Flow.AHEAD

    replica.sessions.sweep()
    replica.turns.drain()
    replica.publish()

    assert wire(connection).positions == [3]
    assert not wire(connection).of("resync_required")


async def test_a_backfill_that_reached_further_than_this_replica_waits_for_it() -> None:
    replica = Replica(capacity=4)
    replica.publish_all("s" * 20)
    connection = resuming(replica)
    late = [replica.log.add() for _ in range(3)]  # in the log, and not yet here
    async with backfilling(replica):
        await until(replica, lambda: connection.flow is Flow.AHEAD)
    assert replica.feed.gap

    replica.sessions.sweep()
    for entry in late:
        replica.feed.offer(entry)
    replica.publish()

    assert wire(connection).positions == list(range(1, 25))
    assert not wire(connection).of("resync_required")


def test_an_upgrade_learnt_while_nothing_can_be_verified_counts_from_there_on() -> None:
    replica = Replica()
    connection = replica.connect("alice", Tier.STARTER)
    replica.publish_all("p")
    lapse(replica)

    replica.set_tier("alice", Tier.PRO)
    replica.publish_all("ps")
    renew(replica)

    assert wire(connection).positions == [3, 2]
    assert [frame["user_tier"] for frame in wire(connection).of("tier_changed")] == ["pro"]


def test_a_change_between_paying_tiers_after_the_lease_is_over_withholds_and_is_made_good() -> None:
    replica = Replica()
    connection = replica.connect("alice", Tier.PRO)
    replica.monotonic.advance(LEASE_SECONDS + 1)

    replica.set_tier("alice", Tier.ELITE)
    replica.publish_all("ps")
    renew(replica)

    changes = [(frame["user_tier"], frame["reason"]) for frame in wire(connection).of("tier_changed")]
    assert changes == [("starter", "unverified"), ("elite", "verified")]
    assert wire(connection).positions == [2, 1]
