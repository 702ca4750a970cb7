"""Readiness and the backlog as the watch on the database tells them."""

import pytest
from prometheus_client import CollectorRegistry

from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.metrics import LogMetrics
from tiercast_shared.eventlog.publication import Publication
from tiercast_shared.eventlog.watch import DATABASE_SILENT_SECONDS, LogWatch

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
        looked = LogMetrics(self.registry, "signals").looked
        self.watch = LogWatch(self.store.publication, looked, clock=self.clock)

    async def see(self, *, head: int, published: int, holder: str | None, after: float = 1.0) -> None:
        self.clock.now += after
        self.store.answer = Publication(head, published, holder)
        await self.watch.look()

    @property
    def backlog(self) -> float | None:
        return self.metric("unpublished_entries")

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"tiercast_log_{name}", {"log": "signals"})


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_all_is_well_while_the_database_answers_and_all_is_published(scene):
    await scene.see(head=7, published=7, holder=ME)
    assert scene.watch.database_problem() is None
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


async def test_a_backlog_that_does_not_move_is_told_and_makes_nobody_not_ready(scene):
    await scene.see(head=9, published=4, holder=ME)
    await scene.see(head=12, published=4, holder=ME, after=600)
    assert (scene.watch.backlog, scene.backlog, scene.metric("lag_seconds")) == (8, 8, 600)
    assert scene.watch.database_problem() is None


async def test_the_lag_is_the_age_of_the_oldest_entry_that_is_not_published(scene):
    await scene.see(head=5, published=5, holder=ME)
    assert scene.metric("lag_seconds") == 0
    await scene.see(head=6, published=5, holder=ME)
    await scene.see(head=9, published=5, holder=ME, after=4)
    assert scene.metric("lag_seconds") == 4
    await scene.see(head=9, published=6, holder=ME, after=2)
    assert scene.metric("lag_seconds") == 2
    await scene.see(head=9, published=9, holder=ME)
    assert (scene.metric("lag_seconds"), scene.metric("head")) == (0, 9)


async def test_whether_anybody_may_publish_is_told(scene):
    await scene.see(head=1, published=1, holder="replica-2")
    assert scene.metric("publisher_held") == 1
    await scene.see(head=1, published=1, holder=None)
    assert scene.metric("publisher_held") == 0
