"""Publishing a log, with a broker and a database that fail as told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tiercast_shared.errors import StorageUnavailable
from tiercast_shared.eventlog.lease import LeaseLost
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent, Publisher
from tiercast_shared.messaging.broker import OutgoingEvent

EPOCH = "epoch"


def event(seq: int) -> LogEvent:
    return LogEvent(
        seq, "signal.published", f"body {seq}".encode(), {"feed": "all"}, f"m{seq}", f"c{seq}", 1000.0 + seq
    )


class World:
    """A log, a lease and an exchange."""

    def __init__(self, length: int = 0) -> None:
        self.log = [event(seq) for seq in range(1, length + 1)]
        self.looks = self.reads = 0
        self.saved = 0
        self.held_by_another = False
        self.holder: str | None = None
        self.confirmed: list[OutgoingEvent] = []
        self.attempts: list[int] = []
        self.fail_next: list[Exception] = []
        self.database_away = False
        self.opened = 0
        self.held: list[bool] = []
        self.holder_name = "me"

    def append(self, count: int) -> Sequence[LogEvent]:
        new = [event(len(self.log) + number) for number in range(1, count + 1)]
        self.log += new
        return new

    # EventSource
    async def head(self) -> Head:
        self._check_database()
        self.looks += 1
        return Head(EPOCH, len(self.log))

    async def events_after(self, seq: int, limit: int) -> tuple[Head, Sequence[LogEvent]]:
        self._check_database()
        self.reads += 1
        return Head(EPOCH, len(self.log)), self.log[seq : seq + limit]

    # PublisherLease
    async def take(self) -> int | None:
        self._check_database()
        if self.held_by_another:
            return None
        self.holder = self.holder_name
        return self.saved

    async def save(self, published: int, _before: int) -> None:
        self._check_database()
        if self.held_by_another:
            raise LeaseLost("somebody else")
        self.saved = published

    async def release(self) -> None:
        self.holder = None

    def _check_database(self) -> None:
        if self.database_away:
            raise StorageUnavailable("away")

    # EventOutlet
    @asynccontextmanager
    async def open(self) -> AsyncIterator["World"]:
        self.opened += 1
        yield self

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        self.attempts.append(len(events))
        await asyncio.sleep(0)
        if self.fail_next and events[0].headers["type"] != "beacon":
            raise self.fail_next.pop(0)
        self.confirmed += events

    # PublisherObserver
    def holding(self, held: bool) -> None:
        self.held.append(held)

    def published(self, events: Sequence[LogEvent], at: float) -> None:
        pass

    @property
    def seqs(self) -> list[int]:
        return [int(each.headers["seq"]) for each in self.confirmed if each.headers["type"] != "beacon"]


@asynccontextmanager
async def publishing(world: World, window: int = 500, **options: Any) -> AsyncIterator[Publisher]:
    publisher = Publisher(world, world, world.open, world, clock=lambda: 5000.0, window=window, **options)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        await asyncio.wait([task])


async def eventually(condition, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the condition has no event of its own
            await asyncio.sleep(0.005)


async def test_what_is_in_the_log_is_published_in_order():
    world = World(length=7)
    async with publishing(world, window=3):
        await eventually(lambda: world.seqs == [1, 2, 3, 4, 5, 6, 7])
    assert world.saved == 7


async def test_an_event_carries_the_stored_bytes_and_its_place():
    world = World(length=1)
    async with publishing(world):
        await eventually(lambda: world.seqs == [1])
    published = next(each for each in world.confirmed if each.headers["type"] == "signal.published")
    assert published.body == b"body 1"
    assert published.headers == {
        "type": "signal.published",
        "schema": 1,
        "epoch": EPOCH,
        "seq": 1,
        "feed": "all",
        "committed_at": 1001.0,
        "published_at": 5000.0,
    }
    assert (published.message_id, published.correlation_id) == ("m1", "c1")


async def test_what_is_offered_is_published_without_reading_it_back():
    world = World()
    async with publishing(world) as publisher:
        await eventually(lambda: world.held == [True])
        await eventually(lambda: world.looks > 1)
        offered = world.append(3)
        reads = world.reads
        publisher.offer(Head(EPOCH, 3), offered)
        await eventually(lambda: world.seqs == [1, 2, 3])
        assert world.reads <= reads + 1


async def test_what_another_process_committed_in_between_is_read():
    world = World()
    async with publishing(world) as publisher:
        await eventually(lambda: world.held == [True])
        world.append(2)
        publisher.offer(Head(EPOCH, 4), world.append(2))
        await eventually(lambda: len(world.seqs) == 4)
    assert world.seqs == [1, 2, 3, 4]


async def test_a_publish_without_a_confirm_is_repeated_from_there():
    world = World(length=4)
    world.fail_next = [TimeoutError("no confirm")]
    async with publishing(world, window=2):
        await eventually(lambda: world.seqs == [1, 2, 3, 4])
    assert world.opened == 2


async def test_publishing_goes_on_where_the_saved_cursor_is():
    world = World(length=5)
    world.saved = 3
    async with publishing(world):
        await eventually(lambda: world.seqs == [4, 5])


async def test_a_standby_publishes_nothing_and_says_it_has_no_backlog():
    world = World(length=5)
    world.held_by_another = True
    async with publishing(world) as publisher:
        await eventually(lambda: world.opened == 1)
        publisher.offer(Head(EPOCH, 5), world.log)
        await asyncio.sleep(0.05)
        assert world.confirmed == []
        assert publisher.backlog == 0
        world.held_by_another = False
        await eventually(lambda: world.seqs == [1, 2, 3, 4, 5])


async def test_who_loses_the_lease_stops_and_a_zombie_moves_no_cursor():
    world = World(length=1)
    async with publishing(world):
        await eventually(lambda: world.saved == 1)
        world.held_by_another = True
        world.append(1)
        await eventually(lambda: world.held[-1] is False)
    assert world.saved == 1


async def test_a_database_that_comes_back_is_gone_on_with():
    world = World(length=1)
    async with publishing(world):
        await eventually(lambda: world.saved == 1)
        world.database_away = True
        await eventually(lambda: world.held[-1] is False)
        world.append(1)
        world.database_away = False
        await eventually(lambda: world.saved == 2)
    assert world.seqs == [1, 2]


async def test_a_beacon_says_what_is_published_and_what_is_committed():
    world = World(length=2)
    async with publishing(world):
        await eventually(lambda: world.seqs == [1, 2])
        world.confirmed.clear()
        await eventually(lambda: any(each.headers["type"] == "beacon" for each in world.confirmed))
    beacon = next(each for each in world.confirmed if each.headers["type"] == "beacon")
    assert beacon.body == b'{"type":"beacon","epoch":"epoch","head":2,"committed":2,"at":5000.0}'


async def test_a_stop_saves_the_cursor_and_gives_the_lease_up():
    world = World()
    async with publishing(world) as publisher:
        await eventually(lambda: world.held == [True])
        publisher.offer(Head(EPOCH, 2), world.append(2))
        await eventually(lambda: world.seqs == [1, 2])
    assert world.saved == 2
    assert world.holder is None


async def test_what_is_only_heard_of_is_read_at_once():
    world = World()
    async with publishing(world, poll_seconds=lambda: 3600.0) as publisher:
        await eventually(lambda: world.held == [True])
        world.append(2)
        publisher.hint(2)
        await eventually(lambda: world.seqs == [1, 2])
        reads = world.reads
        publisher.hint(2)
        publisher.offer(Head(EPOCH, 3), world.append(1))
        await eventually(lambda: world.seqs == [1, 2, 3])
        assert world.reads == reads, "what was offered, and what is published, is not read"


async def test_what_is_heard_of_and_then_offered_is_not_read():
    """The database tells of a commit before the process that made it has gone on."""
    world = World()
    async with publishing(world, poll_seconds=lambda: 3600.0) as publisher:
        await eventually(lambda: world.held == [True])
        await eventually(lambda: world.looks > 1)
        reads, offered = world.reads, world.append(2)
        publisher.hint(2)
        await asyncio.sleep(0)
        publisher.offer(Head(EPOCH, 2), offered)
        await eventually(lambda: world.seqs == [1, 2])
        assert world.reads == reads


async def test_while_nothing_is_heard_the_log_is_looked_at():
    world = World()
    async with publishing(world, poll_seconds=lambda: 0.01):
        await eventually(lambda: world.held == [True])
        world.append(1)
        await eventually(lambda: world.seqs == [1])


async def test_while_there_is_nothing_new_only_the_head_is_read():
    world = World()
    async with publishing(world, poll_seconds=lambda: 0.001):
        await eventually(lambda: world.looks > 10)
    assert world.reads == 0


async def test_who_was_stopped_for_longer_than_the_lease_publishes_nothing_before_it_has_asked():
    world, now = World(), [0.0]
    async with publishing(world, monotonic=lambda: now[0]) as publisher:
        await eventually(lambda: world.held == [True])
        publisher.offer(Head(EPOCH, 1), world.append(1))
        await eventually(lambda: world.saved == 1)
        world.confirmed.clear()
        world.held_by_another = True
        now[0] += 30.0
        publisher.offer(Head(EPOCH, 2), world.append(1))
        await eventually(lambda: world.held[-1] is False)
        assert world.confirmed == [], "neither an event nor a beacon"


class SlowWorld(World):
    """A broker that confirms when `gate` is open."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.gate = asyncio.Event()

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        if events[0].headers["type"] != "beacon":
            await self.gate.wait()
        await super().publish(events)


async def test_a_writer_waits_until_no_more_than_a_window_is_left_to_publish():
    world = SlowWorld(5)
    async with publishing(world, window=2) as publisher:
        await eventually(lambda: publisher.backlog == 5)
        waiting = asyncio.create_task(publisher.keep_up())
        await asyncio.sleep(0)
        assert not waiting.done()
        world.gate.set()
        await waiting
        assert publisher.backlog <= 2


async def test_a_writer_does_not_wait_for_long_when_the_broker_does_not_answer():
    world = SlowWorld(5)
    async with publishing(world, window=2) as publisher:
        await eventually(lambda: publisher.backlog == 5)
        await publisher.keep_up()
        assert publisher.backlog == 5


async def test_a_writer_does_not_wait_for_a_publisher_that_holds_no_lease():
    world = World(5)
    world.held_by_another = True
    async with publishing(world, window=2) as publisher:
        await asyncio.sleep(0)
        publisher.hint(5)
        async with asyncio.timeout(0):
            await publisher.keep_up()
