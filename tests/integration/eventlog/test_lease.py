"""The publisher's lease on both databases."""

import pytest
from sqlalchemy import text
from sqlmodel import select

from tiercast_ingest.tables import SignalLogPublisher
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import LEASE_SECONDS, LeaseLost, PublisherLease, unix_now


def lease(database: Database, holder: str) -> PublisherLease:
    return PublisherLease(database, SignalLogPublisher, holder)


async def expire(database: Database) -> None:
    async with database.writing() as session:
        await session.exec(text(f"UPDATE signal_log_publisher SET until = until - {LEASE_SECONDS + 1}"))


async def test_one_replica_holds_the_lease_and_renews_it(database: Database):
    one, two = lease(database, "one"), lease(database, "two")
    assert await one.take() == 0
    assert await two.take() is None
    assert await one.take() == 0


async def test_a_lease_that_ended_is_free_and_the_cursor_goes_with_it(database: Database):
    one, two = lease(database, "one"), lease(database, "two")
    await one.take()
    await one.save(7, 0)
    await expire(database)
    assert await two.take() == 7
    assert await one.take() is None


async def test_a_zombie_cannot_move_the_cursor(database: Database):
    one, two = lease(database, "one"), lease(database, "two")
    await one.take()
    await expire(database)
    await two.take()
    await two.save(9, 0)
    with pytest.raises(LeaseLost):
        await one.save(3, 0)
    await one.release()
    assert await two.take() == 9


async def test_a_lease_that_is_given_up_is_free_at_once(database: Database):
    one, two = lease(database, "one"), lease(database, "two")
    await one.take()
    await one.release()
    assert await two.take() == 0


async def test_the_lease_is_timed_by_the_databases_clock(database: Database):
    await lease(database, "one").take()
    async with database.reading() as session:
        left = (await session.exec(select(SignalLogPublisher.until - unix_now()))).one()
    assert 0 < left <= LEASE_SECONDS


async def test_a_cursor_that_somebody_moved_is_not_moved_again(database: Database):
    """A database that was restored knows an older cursor, and the same holder."""
    one = lease(database, "one")
    await one.take()
    await one.save(7, 0)
    await one.save(7, 0)  # as after a commit whose answer got lost
    async with database.writing() as session:
        await session.exec(text("UPDATE signal_log_publisher SET published = 3"))
    with pytest.raises(LeaseLost, match="not at 7 any more"):
        await one.save(9, 7)
    assert await one.take() == 3
