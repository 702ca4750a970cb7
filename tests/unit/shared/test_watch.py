"""Readiness as the watch on the database tells it."""

import pytest
from prometheus_client import CollectorRegistry, Gauge

from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.publication import Publication
from tiercast_shared.eventlog.watch import DATABASE_SILENT_SECONDS, PUBLISHING_STUCK_SECONDS, LogWatch

ME = "replica-1"


class FakeStore:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.answer: Publication | None = Publication(0, 0, ME)

    async def publication(self) -> Publication:
        if self.answer is None:
            raise StorageUnavailable("away")
        return self.answer


class FakeClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """A watch, what it watches, and its clock."""

    def __init__(self) -> None:
        self.store, self.clock, self.registry = FakeStore(), FakeClock(), CollectorRegistry()
        gauge = Gauge("backlog", "", registry=self.registry)
        self.watch = LogWatch(self.store.publication, ME, gauge, clock=self.clock)

    async def see(self, *, head: int, published: int, holder: str | None, after: float = 1.0) -> None:
        self.clock.now += after
        self.store.answer = Publication(head, published, holder)
        await self.watch.look()

    @property
    def backlog(self) -> float | None:
        return self.registry.get_sample_value("backlog")


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_all_is_well_while_the_database_answers_and_all_is_published(scene):
    await scene.see(head=7, published=7, holder=ME)
    assert scene.watch.database_problem() is None
    assert scene.watch.publishing_problem() is None
    assert scene.backlog == 0


async def test_a_database_that_stops_answering_makes_not_ready_and_recovers(scene):
    scene.store.answer = None
    scene.clock.now += DATABASE_SILENT_SECONDS
    with pytest.raises(StorageUnavailable):
        await scene.watch.look()
    assert scene.watch.database_problem() is None
    scene.clock.now += 1
    assert scene.watch.database_problem() == "the database has not answered for 6 s"
    await scene.see(head=0, published=0, holder=ME)
    assert scene.watch.database_problem() is None


async def test_a_backlog_that_does_not_move_makes_not_ready_and_says_what_to_look_at(scene):
    await scene.see(head=9, published=4, holder=None)
    await scene.see(head=12, published=4, holder=None, after=PUBLISHING_STUCK_SECONDS)
    assert scene.watch.publishing_problem() is None
    await scene.see(head=12, published=4, holder=None)
    assert scene.watch.publishing_problem() == (
        "8 entries are committed but none was published for 31 s: is the broker reachable?"
    )
    assert scene.backlog == 8


async def test_a_backlog_that_moves_slowly_is_not_stuck(scene):
    for published in range(1, 6):
        await scene.see(head=100, published=published, holder=ME, after=PUBLISHING_STUCK_SECONDS)
        assert scene.watch.publishing_problem() is None


async def test_a_long_idle_time_before_the_first_backlog_does_not_count(scene):
    await scene.see(head=3, published=3, holder=ME, after=10 * PUBLISHING_STUCK_SECONDS)
    await scene.see(head=4, published=3, holder=ME)
    assert scene.watch.publishing_problem() is None


async def test_a_standby_is_ready_however_long_the_holder_takes(scene):
    await scene.see(head=9, published=4, holder="replica-2")
    await scene.see(head=9, published=4, holder="replica-2", after=2 * PUBLISHING_STUCK_SECONDS)
    assert scene.watch.publishing_problem() is None
    await scene.see(head=9, published=4, holder=None)
    assert scene.watch.publishing_problem() is not None
