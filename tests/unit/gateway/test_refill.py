"""The feed is filled from ingest's log at start, on gaps and in a new life, and clients are told only of what really happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.unit.gateway.doubles import EPOCH, Log, RecordedFeed, make_feed, tier_changed, until
from tiercast_gateway.refill import PAGE, SignalRefill
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.upstream import STALE_SECONDS, Upstream
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged
from tiercast_shared.errors import Unavailable


@dataclass
class Page:
    epoch: str
    head: int
    entries: list[LogEntry]
    floor: int = 0


class FakeIngest:
    """The log API over a log in memory."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.epoch = EPOCH
        self.asked: list[tuple[str, int]] = []
        self.away = False
        self.floor = 0
        self.on_page = lambda: None

    async def after(self, position: int, limit: int = 1000) -> Page:
        return await self._page("after", position, self.log.between(position)[:limit])

    async def standard_before(self, position: int, limit: int = 1000) -> Page:
        return await self._page("before", position, self.log.standard_before(position, limit))

    async def _page(self, kind: str, position: int, entries: list[LogEntry]) -> Page:
        self.asked.append((kind, position))
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("ingest is away")
        page = Page(self.epoch, self.log.head, [e for e in entries if e.position > self.floor], self.floor)
        self.on_page()
        return page


@dataclass
class World:
    ingest: FakeIngest
    log: Log
    made: RecordedFeed
    refill: SignalRefill
    upstream: Upstream
    loads: list[int]

    async def at_rest(self) -> None:
        """All that is known to be missing has come, and nothing more is asked for."""
        await until(lambda: self.made.feed.started and not self.made.feed.gap)
        asked = -1
        while asked != len(self.ingest.asked):
            asked = len(self.ingest.asked)
            for _ in range(20):
                await asyncio.sleep(0)


class NoTiers:
    def catch_up(self, *, look: bool = False) -> None:
        pass


def never(_event: object) -> None:
    raise AssertionError


@asynccontextmanager
async def running(log: Log, *, capacity: int = 1000, wanted: bool = True) -> AsyncIterator[World]:
    ingest, made, loads = FakeIngest(log), make_feed(capacity=capacity, begun=False), []
    refill = SignalRefill(
        ingest,  # type: ignore[arg-type] # what it uses of an IngestClient
        made.feed,
        on_loaded=lambda: loads.append(made.feed.head),
        capacity=capacity,
    )
    tiers = TierCache(lambda: 0.0, lambda *_: None)
    upstream = Upstream(made.feed, refill, tiers, NoTiers())  # type: ignore[arg-type]
    task = asyncio.create_task(refill.run())
    if wanted:
        upstream.consuming()
    try:
        yield World(ingest, log, made, refill, upstream, loads)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def positions(world: World, feed: Feed) -> list[int]:
    return [item.entry.position for item in reversed(list(world.made.feed.rings[feed].newest()))]


def beacon(head: int, epoch: str = EPOCH) -> Beacon:
    return Beacon(epoch=epoch, head=head, committed=head, at=0.0)


def filled(kinds: str) -> Log:
    log = Log()
    log.add_all(kinds)
    return log


async def test_nothing_is_read_before_the_queue_is_bound() -> None:
    async with running(filled("ss"), wanted=False) as world:
        for _ in range(10):
            await asyncio.sleep(0)

        assert world.ingest.asked == []
        assert world.refill.problem() == "the signal log has not been read yet"


async def test_the_log_is_loaded_at_start_over_several_pages() -> None:
    async with running(filled("sp" * (PAGE + 200)), capacity=10_000) as world:
        await world.at_rest()

        assert positions(world, Feed.ALL) == list(range(1, 2 * PAGE + 401))
        assert world.loads == [2 * PAGE + 400]
        assert world.refill.problem() is None


async def test_no_more_than_the_ring_holds_is_loaded_and_standard_signals_from_further_back() -> None:
    async with running(filled("ss" + "p" * 30 + "s"), capacity=10) as world:
        await world.at_rest()

        assert positions(world, Feed.ALL) == list(range(24, 34))
        assert positions(world, Feed.STANDARD) == [1, 2, 33]


async def test_an_empty_log_is_a_good_start() -> None:
    async with running(Log()) as world:
        await until(lambda: world.loads)

        assert world.refill.problem() is None
        world.upstream.signal(EPOCH, world.log.add())
        assert world.made.positions == [1]


async def test_signals_that_come_during_the_load_follow_on() -> None:
    log = filled("sss")
    async with running(log) as world:
        late = log.add()
        log.entries.pop()  # not in the log that is read, but already published
        world.upstream.signal(EPOCH, late)
        log.entries.append(late)

        await world.at_rest()

        assert positions(world, Feed.ALL) == [1, 2, 3, 4]


async def test_a_gap_is_filled_from_the_log() -> None:
    async with running(filled("s")) as world:
        await world.at_rest()
        lost, seen = world.log.add(), world.log.add()

        world.upstream.signal(EPOCH, seen)
        await world.at_rest()

        assert world.made.positions == [1, lost.position, seen.position]
        assert world.loads == [1], "a gap is no new life"


async def test_a_page_that_the_broker_overtakes_is_no_shorter_log() -> None:
    """The page was read before signals were committed that are delivered before it: nobody may be told to resynchronise."""
    async with running(filled("ss")) as world:
        await world.at_rest()

        def overtake() -> None:
            world.ingest.on_page = lambda: None
            for entry in world.log.add_all("sps"):
                world.upstream.signal(EPOCH, entry)

        world.ingest.on_page = overtake
        world.upstream.consuming()
        await world.at_rest()

        assert world.loads == [2], "the log was taken for a new life"
        assert world.made.positions == [1, 2, 3, 4, 5]


async def test_a_log_restored_shorter_without_a_new_epoch_is_read_anew_and_counted() -> None:
    async with running(filled("sss")) as world:
        await world.at_rest()
        assert world.refill.restored_short == 0

        world.ingest.log = filled("s")
        world.upstream.consuming()
        await until(lambda: world.made.feed.head == 1)
        await world.at_rest()

        assert world.loads == [3, 1]
        assert world.refill.restored_short == 1


async def test_what_is_told_while_the_log_is_asked_is_not_forgotten() -> None:
    async with running(filled("ss")) as world:
        await world.at_rest()

        def overtake() -> None:
            world.ingest.on_page = lambda: None
            world.log.add_all("ss")
            world.upstream.signal(EPOCH, world.log[4])

        world.ingest.on_page = overtake
        world.upstream.consuming()
        await world.at_rest()

        assert world.made.positions == [1, 2, 3, 4]


async def test_the_end_of_a_log_of_several_pages_is_reached_without_a_beacon() -> None:
    async with running(Log(), capacity=10_000) as world:
        await until(lambda: world.loads)
        await world.at_rest()

        world.log.add_all("s" * (PAGE + 5))
        world.upstream.consuming()
        await until(lambda: world.made.feed.head == PAGE + 5)


async def test_a_lost_last_signal_is_found_by_the_beacon() -> None:
    async with running(filled("s")) as world:
        await world.at_rest()
        world.log.add()

        world.upstream.signals_beacon(beacon(2))
        await world.at_rest()

        assert world.made.positions == [1, 2]


async def test_what_was_published_while_no_queue_was_bound_is_fetched_when_one_is() -> None:
    async with running(filled("s")) as world:
        await world.at_rest()
        world.log.add_all("ss")

        world.upstream.consuming()
        await until(lambda: world.made.feed.head == 3)

        assert world.loads == [1]


async def test_a_head_that_does_not_exist_is_forgotten_after_one_look() -> None:
    async with running(filled("s")) as world:
        await world.at_rest()
        before = len(world.ingest.asked)

        world.upstream.signals_beacon(beacon(5))
        await world.at_rest()

        assert len(world.ingest.asked) == before + 1
        assert not world.made.feed.gap


async def test_a_log_that_cannot_be_read_is_tried_again_and_says_why() -> None:
    async with running(filled("ss")) as world:
        world.ingest.away = True
        await until(lambda: world.refill.problem() == "ingest is away")
        world.ingest.away = False

        await world.at_rest()

        assert world.refill.problem() is None
        assert positions(world, Feed.ALL) == [1, 2]


async def test_a_new_epoch_loads_the_feed_anew_whichever_message_tells_of_it() -> None:
    for tell in ("signal", "beacon", "log"):
        async with running(filled("sss")) as world:
            await world.at_rest()
            world.ingest.epoch, world.ingest.log = "epoch-2", filled("ps")

            if tell == "signal":
                world.upstream.signal("epoch-2", world.ingest.log[2])
            elif tell == "beacon":
                world.upstream.signals_beacon(beacon(2, "epoch-2"))
            else:
                world.upstream.consuming()
            await until(lambda: world.made.feed.epoch == "epoch-2")
            await world.at_rest()

            assert positions(world, Feed.ALL) == [1, 2], tell
            assert world.loads == [3, 2], tell


async def test_a_late_message_of_the_old_epoch_makes_nobody_resync() -> None:
    async with running(filled("sss")) as world:
        await world.at_rest()

        world.upstream.signal("epoch-0", world.log[1])
        world.upstream.signals_beacon(beacon(99, "epoch-0"))
        await world.at_rest()

        assert world.loads == [3], "the log itself says that nothing has changed"
        assert world.made.feed.head == 3
        assert not world.made.feed.gap


async def test_a_log_that_begins_a_new_life_during_the_load_is_loaded_whole() -> None:
    """Recreated between two pages, and shorter than it was."""
    async with running(filled("s" * 30), capacity=20) as world:
        new = filled("psp")

        def recreate() -> None:
            world.ingest.epoch, world.ingest.log = "epoch-2", new

        world.ingest.on_page = recreate
        await until(lambda: world.made.feed.epoch == "epoch-2", within=5)
        await world.at_rest()

        assert positions(world, Feed.ALL) == [1, 2, 3]
        assert positions(world, Feed.STANDARD) == [2]


async def test_a_log_that_is_shorter_than_it_said_is_not_asked_for_ever() -> None:
    async with running(filled("s" * 30), capacity=20) as world:
        world.ingest.on_page = world.ingest.log.entries.clear

        await until(lambda: world.made.feed.started, within=5)
        await world.at_rest()

        assert len(world.ingest.asked) < 10


async def test_early_signals_of_another_epoch_do_not_enter_the_feed() -> None:
    """They come before the first load: what epoch the log is in is not known yet."""
    async with running(Log(), wanted=False) as world:
        old = filled("pp")
        world.upstream.signal("epoch-0", old[1])
        world.upstream.signal("epoch-0", old[2])
        world.log.add_all("ss")

        world.upstream.consuming()
        await until(lambda: world.made.feed.head == 2)

        assert positions(world, Feed.STANDARD) == [1, 2]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TierLog:
    """Records what the tiers side is told."""

    def __init__(self) -> None:
        self.epoch, self.gap, self.applied, self.calls = EPOCH, False, 0, []

    def changed(self, event: TierChanged | SessionRevoked) -> None:
        self.calls.append(event.seq)

    def beacon(self, epoch: str, head: int) -> None:
        self.calls.append((epoch, head))

    def announced(self, epoch: str, head: int) -> None:
        self.calls.append((epoch, head))

    def catch_up(self, *, look: bool = False) -> None:
        self.calls.append("look" if look else "catch up")


def watched() -> tuple[Upstream, TierLog, Clock]:
    clock, tiers = Clock(), TierLog()
    made = make_feed()

    class Refill:
        def needed(self, *, look: bool = False) -> None:
            pass

    return Upstream(made.feed, Refill(), tiers, tiers, clock=clock), tiers, clock  # type: ignore[arg-type]


def test_upstream_is_stale_after_three_seconds_without_a_beacon_whatever_else_comes() -> None:
    upstream, _, clock = watched()
    clock.now = STALE_SECONDS
    assert not upstream.stale

    clock.now += 0.01
    upstream.signal(EPOCH, filled("s")[1])
    assert upstream.stale
    upstream.signals_beacon(beacon(1))
    assert not upstream.stale


def test_changes_of_another_epoch_are_not_applied_and_the_log_is_asked() -> None:
    upstream, tiers, _ = watched()

    upstream.tier_event("epoch-0", tier_changed(1, "alice", Tier.PRO))
    upstream.tier_event(EPOCH, tier_changed(1, "alice", Tier.PRO))

    assert tiers.calls == [("epoch-0", 1), "look", 1]


def test_a_gap_in_the_tiers_log_is_asked_for() -> None:
    upstream, tiers, _ = watched()
    tiers.gap = True

    upstream.tier_event(EPOCH, tier_changed(3, "alice", Tier.PRO))
    upstream.tiers_beacon(beacon(3))

    assert tiers.calls == [3, "catch up", (EPOCH, 3), "catch up"]


def test_a_tiers_log_said_to_be_shorter_than_what_was_applied_is_looked_at_and_gives_no_lease() -> None:
    upstream, tiers, _ = watched()
    tiers.applied = 4

    upstream.tiers_beacon(beacon(3))

    assert tiers.calls == ["look"]


def test_a_new_queue_makes_both_logs_be_looked_at() -> None:
    upstream, tiers, _ = watched()

    upstream.consuming()

    assert tiers.calls == ["look"]


async def test_a_replica_that_begins_after_entries_were_archived_has_what_the_log_still_has():
    log = filled("sspsps")
    async with running(log, wanted=False) as world:
        world.ingest.floor = 3
        world.upstream.consuming()
        await world.at_rest()
        assert positions(world, Feed.ALL) == [4, 5, 6]
        assert positions(world, Feed.STANDARD) == [4, 6]
        assert [world.made.feed.rings[feed].floor for feed in Feed] == [3, 3], "nothing before it can be had whole"


async def test_a_replica_that_has_missed_what_is_archived_since_begins_anew():
    log = filled("ss")
    async with running(log) as world:
        await world.at_rest()
        log.add_all("sps")
        world.ingest.floor = 4
        world.upstream.signals_beacon(beacon(5))
        await world.at_rest()
        assert world.loads == [2, 5], "all clients are told to resync"
        assert positions(world, Feed.ALL) == [5]
