"""Users are looked up in batches, the tiers log is followed, and whatever the tiers service does, nobody is served too much."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.unit.gateway.doubles import EPOCH, Clock, session_revoked, tier_changed, until
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import BATCH, TierSync
from tiercast_shared.contracts.tiers import (
    SessionRevoked,
    Tier,
    TierChanged,
    TierChangeEntry,
    TierChangePage,
    TierLookup,
    TierState,
)
from tiercast_shared.errors import Unavailable


@dataclass
class FakeTiers:
    """The tiers service: users, a log, and a gate to hold look-ups back."""

    epoch: str = EPOCH
    log: list[TierChanged | SessionRevoked] = field(default_factory=list)
    users: dict[str, TierState] = field(default_factory=dict)
    batches: list[list[str]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False
    reads: int = 0
    on_page: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.gate.set()

    def set_tier(self, user: str, tier: Tier) -> TierChanged:
        event = tier_changed(len(self.log) + 1, user, tier, epoch=self.epoch)
        self.log.append(event)
        self.users[user] = TierState(tier=tier, version=event.seq)
        return event

    async def lookup(self, user_ids: list[str]) -> TierLookup:
        self.batches.append(user_ids)
        tiers = {user: self.users.get(user, TierState(tier=Tier.STARTER, version=0)) for user in user_ids}
        answer = TierLookup(epoch=self.epoch, head=len(self.log), tiers=tiers)
        await self.gate.wait()
        if self.away:
            raise Unavailable("tiers is away")
        return answer

    async def changes(self, after: int, limit: int = 1000) -> TierChangePage:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("tiers is away")
        entries = [TierChangeEntry(seq=event.seq, data=event) for event in self.log[after : after + limit]]
        page = TierChangePage(epoch=self.epoch, head=len(self.log), entries=entries)
        self.on_page()
        return page


@dataclass
class World:
    service: FakeTiers
    cache: TierCache
    sync: TierSync
    connected: list[str]
    unknown: list[str]
    told: list[tuple[str, Tier]]
    outcomes: list[tuple[int, bool]]

    def connect(self, user: str) -> None:
        self.connected.append(user)
        self.cache.connect(user)
        self.sync.look_up(user)


@asynccontextmanager
async def running(service: FakeTiers | None = None) -> AsyncIterator[World]:
    service = service or FakeTiers()
    told: list[tuple[str, Tier]] = []
    unknown: list[str] = []
    connected: list[str] = []
    outcomes: list[tuple[int, bool]] = []
    cache = TierCache(Clock(1000.0), lambda user, _before, known, _why: told.append((user, known.tier)))
    sync = TierSync(
        service,  # type: ignore[arg-type] # what it uses of a TiersClient
        cache,
        on_unknown=unknown.append,
        connected_users=lambda: connected,
        on_lookup=lambda users, ok: outcomes.append((users, ok)),
    )
    task = asyncio.create_task(sync.run())
    try:
        yield World(service, cache, sync, connected, unknown, told, outcomes)
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_users_asked_for_together_are_looked_up_together() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch)
        for number in range(50):
            world.sync.look_up(f"user-{number}")
            world.sync.look_up(f"user-{number}")

        await until(lambda: world.outcomes)

        assert [len(batch) for batch in world.service.batches] == [50]
        assert world.outcomes == [(50, True)]


async def test_more_than_a_request_holds_go_in_several() -> None:
    async with running() as world:
        for number in range(BATCH + 5):
            world.sync.look_up(f"user-{number}")

        await until(lambda: len(world.cache) == BATCH + 5)

        assert [len(batch) for batch in world.service.batches] == [BATCH, 5]


async def test_resolving_waits_for_the_look_up_and_asks_once_for_many() -> None:
    async with running() as world:
        world.service.set_tier("alice", Tier.PRO)
        await until(lambda: world.cache.epoch)

        tiers = await asyncio.gather(*(world.sync.resolve("alice") for _ in range(20)))
        again = await world.sync.resolve("alice")

        assert (set(tiers), again) == ({Tier.PRO}, Tier.PRO)
        assert world.service.batches == [["alice"]]


async def test_one_who_stops_waiting_does_not_take_the_answer_from_the_others() -> None:
    async with running() as world:
        world.service.set_tier("alice", Tier.PRO)
        await until(lambda: world.cache.epoch)
        world.service.gate.clear()
        impatient, patient = (asyncio.create_task(world.sync.resolve("alice")) for _ in range(2))
        await until(lambda: world.service.batches)

        impatient.cancel()
        world.service.gate.set()

        assert await patient is Tier.PRO


async def test_a_failed_look_up_is_starter_and_is_tried_again_for_those_who_are_connected() -> None:
    async with running() as world:
        world.service.set_tier("alice", Tier.PRO)
        await until(lambda: world.cache.epoch)
        world.service.away = True
        world.connect("alice")
        assert await world.sync.resolve("bob") is Tier.STARTER
        assert set(world.unknown) == {"alice", "bob"}

        world.service.away = False
        await until(lambda: world.told)

        assert world.told[-1] == ("alice", Tier.PRO)
        assert world.service.batches[-1] == ["alice"]


async def test_a_change_that_overtakes_the_answer_wins() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch)
        world.service.gate.clear()
        world.connect("alice")
        await until(lambda: world.service.batches)

        world.cache.changed(world.service.set_tier("alice", Tier.ELITE))
        world.service.gate.set()
        await until(lambda: world.told)
        world.cache.beacon(EPOCH, 1)

        assert world.cache.tier_of("alice") is Tier.ELITE


async def test_a_gap_is_filled_in_pages_from_the_log() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch)
        world.connect("alice")
        await until(lambda: world.told)
        for _ in range(2500):
            last = world.service.set_tier("alice", Tier.PRO)
        last = world.service.set_tier("alice", Tier.ELITE)

        world.cache.changed(last)
        assert world.cache.gap
        world.sync.catch_up()
        await until(lambda: not world.cache.gap)

        assert world.cache.applied == last.seq
        assert world.told[-1] == ("alice", Tier.ELITE)


async def test_a_lost_last_change_is_found_when_it_is_looked_for() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch and world.service.reads >= 2)
        world.service.set_tier("alice", Tier.PRO)

        world.sync.catch_up(look=True)

        await until(lambda: world.cache.applied == 1)


async def test_a_head_that_does_not_exist_is_forgotten() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch)

        world.cache.beacon(EPOCH, 7)
        world.sync.catch_up()

        await until(lambda: not world.cache.gap)


async def test_a_log_restored_shorter_under_the_same_epoch_counts_from_where_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its changes take numbers that were seen before, and must not be passed over: one of them may be a downgrade."""
    async with running() as world:
        for tier in (Tier.STARTER, Tier.PRO, Tier.ELITE):
            world.service.set_tier("alice", tier)
        await until(lambda: world.cache.epoch)
        world.connect("alice")
        await until(lambda: world.told)

        del world.service.log[1:]
        world.service.users["alice"] = TierState(tier=Tier.STARTER, version=1)
        world.sync.catch_up(look=True)
        await until(lambda: world.cache.applied == 1 and world.told[-1] == ("alice", Tier.STARTER))

        assert "tiercast-tiers epoch rotate" in capsys.readouterr().out
        assert world.sync.restored_short == 1
        world.cache.changed(world.service.set_tier("alice", Tier.PRO))
        world.cache.beacon(EPOCH, 2)
        assert world.cache.tier_of("alice") is Tier.PRO


async def test_a_page_that_the_broker_overtakes_is_no_shorter_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch and world.service.reads >= 2)

        def overtake() -> None:
            world.service.on_page = lambda: None
            world.cache.changed(world.service.set_tier("alice", Tier.PRO))
            world.service.set_tier("alice", Tier.STARTER)
            world.cache.changed(world.service.set_tier("alice", Tier.ELITE))

        world.service.on_page = overtake
        world.sync.catch_up(look=True)
        await until(lambda: world.cache.applied == 3)

        assert "shorter" not in capsys.readouterr().out


async def test_a_new_epoch_found_in_the_log_looks_everyone_up_again() -> None:
    async with running() as world:
        world.service.set_tier("alice", Tier.ELITE)
        await until(lambda: world.cache.epoch)
        world.connect("alice")
        await until(lambda: world.told)

        world.service.epoch, world.service.log, world.service.users = "epoch-2", [], {}
        world.service.set_tier("alice", Tier.PRO)
        world.sync.catch_up(look=True)
        await until(lambda: world.cache.epoch == "epoch-2" and world.cache.trusted("alice"))

        assert world.cache.tier_of("alice") is Tier.PRO
        assert world.told[-1] == ("alice", Tier.PRO)


async def test_a_new_epoch_found_by_a_look_up_counts_at_once() -> None:
    async with running() as world:
        world.service.set_tier("alice", Tier.ELITE)
        await until(lambda: world.cache.epoch)
        world.connect("alice")
        await until(lambda: world.told)

        world.service.epoch, world.service.log, world.service.users = "epoch-2", [], {}
        assert await world.sync.resolve("bob") is Tier.STARTER
        await until(lambda: world.told[-1] == ("alice", Tier.STARTER))

        assert world.cache.epoch == "epoch-2"


async def test_a_service_that_is_away_at_start_is_named_and_tried_again() -> None:
    service = FakeTiers(away=True)
    async with running(service) as world:
        await until(lambda: world.sync.problem() == "tiers is away")

        service.away = False

        await until(lambda: world.sync.problem() is None)


async def test_revocations_are_followed_like_changes() -> None:
    async with running() as world:
        await until(lambda: world.cache.epoch)
        world.connect("alice")
        await until(lambda: world.told)
        world.service.log.append(session_revoked(1, "alice", 500.0))

        world.sync.catch_up(look=True)

        await until(lambda: world.cache.revoked("alice", 499.0))
