"""Events from a real RabbitMQ: in order, each once, none missing for long, whatever becomes of the queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aio_pika
import httpx
import pytest

from tests.integration.gateway.upstreams import KEY, Upstreams, upstreams
from tests.support.breakable import BreakableBroker
from tests.support.tcp_proxy import TcpProxy
from tests.unit.gateway.doubles import until
from tiercast_gateway.clients import IngestClient, TiersClient
from tiercast_gateway.consumers import EventConsumer
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.refill import SignalRefill
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_gateway.upstream import Upstream
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier


@dataclass
class Follower:
    """Everything of a gateway between the broker and the hub."""

    upstream: Upstreams
    applied: list[int] = field(default_factory=list)
    loads: int = 0
    restarts: list[str] = field(default_factory=list)
    told: list[tuple[str, Tier]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ingest = IngestClient(self.upstream.url, KEY)
        self.service = TiersClient(self.upstream.url, KEY)
        self.feed = SignalFeed(CursorCodec("k"), lambda applied: self.applied.append(applied.all.seq), capacity=5000)
        self.refill = SignalRefill(self.ingest, self.feed, on_loaded=self._loaded, capacity=5000)
        self.tiers = TierCache(
            asyncio.get_running_loop().time, lambda user, _before, known, _why: self.told.append((user, known.tier))
        )
        self.sync = TierSync(
            self.service, self.tiers, on_unknown=lambda _user: None, connected_users=lambda: list(self.tiers._connected)
        )
        self.events = Upstream(self.feed, self.refill, self.tiers, self.sync)
        self.consumer = EventConsumer(
            self.upstream.amqp_url, self.events, replica="test", on_restart=self.restarts.append
        )

    def _loaded(self) -> None:
        self.loads += 1

    @property
    def ready(self) -> bool:
        return not (self.consumer.problem() or self.refill.problem() or self.sync.problem())

    @property
    def looked(self) -> bool:
        """It has looked behind what it loaded, so that nothing more comes from the log unless it is missing."""
        return f"log {self.feed.head}" in self.upstream.requests

    @property
    def whole(self) -> bool:
        """It has everything that is in the log, and nothing else."""
        positions = [item.entry.position for item in self.feed.rings[Feed.ALL].newest()]
        return positions == [entry.position for entry in reversed(self.upstream.log.entries)] and not self.feed.gap


@asynccontextmanager
async def following(upstream: Upstreams) -> AsyncIterator[Follower]:
    follower = Follower(upstream)
    tasks = [asyncio.create_task(run()) for run in (follower.consumer.run, follower.refill.run, follower.sync.run)]
    try:
        await until(lambda: follower.ready and follower.looked, within=20)
        yield follower
        assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await follower.ingest.close()
        await follower.service.close()


@pytest.fixture
async def follower(amqp_url: str) -> AsyncIterator[Follower]:
    """On a virtual host of its own on the shared broker."""
    async with upstreams(amqp_url) as upstream, following(upstream) as follower:
        yield follower


# -- what is published ----------------------------------------------------------------------------


async def test_two_thousand_events_arrive_in_order_each_once(follower: Follower) -> None:
    entries = [entry for n in range(2000) for entry in follower.upstream.add(premium=n % 3 == 0)]

    for part in range(0, 2000, 200):  # all at once would leave a slow machine no time for heartbeats
        await asyncio.gather(*(follower.upstream.publish(entry) for entry in entries[part : part + 200]))
    await until(lambda: len(follower.applied) == 2000, within=20)

    assert follower.applied == list(range(1, 2001))
    assert follower.whole
    newest = next(follower.feed.rings[Feed.ALL].newest())
    assert (newest.entry.data, newest.entry.correlation_id) == (entries[-1].data, "c-1")


async def test_events_that_come_again_are_dropped(follower: Follower) -> None:
    entries = follower.upstream.add(50)

    for entry in entries:
        await follower.upstream.publish(entry, entry)
    await follower.upstream.publish(*entries, published_at=2.0)
    await follower.upstream.publish(*follower.upstream.add())
    await until(lambda: follower.feed.head == 51)

    assert follower.applied == list(range(1, 52))


async def test_a_gap_is_filled_from_the_log(follower: Follower) -> None:
    seen, *lost, last = follower.upstream.add(10)

    await follower.upstream.publish(seen, last)
    await until(lambda: follower.whole)

    assert follower.applied == list(range(1, 11))
    assert len(lost) == 8
    assert follower.loads == 1, "a gap is no new life of the log"


async def test_events_in_any_order_end_in_order(follower: Follower) -> None:
    entries = follower.upstream.add(200)

    for at in (3, 1, 0, 2):
        await follower.upstream.publish(*entries[at::4])
    await until(lambda: follower.whole)

    assert follower.applied == list(range(1, 201))


async def test_a_lost_last_event_is_found_by_the_beacon(follower: Follower) -> None:
    first, *_ = follower.upstream.add(3)
    await follower.upstream.publish(first)
    await until(lambda: follower.applied == [1])

    await follower.upstream.beacon()
    await until(lambda: follower.whole)

    assert follower.applied == [1, 2, 3]


MALFORMED: dict[str, dict[str, object]] = {
    "no position": {"seq": None},
    "a position as text": {"seq": "2"},
    "a position as a fraction": {"seq": 2.5},
    "a standard position as text": {"standard_seq": "2"},
    "no symbol": {"symbol": None},
    "no times": {"published_at": None},
    "times as text": {"received_at": "now"},
    "a table for a time": {"committed_at": {"a": 1}},
}


async def test_malformed_events_are_skipped_and_fetched_from_the_log(follower: Follower) -> None:
    for headers in MALFORMED.values():
        before, broken, after = follower.upstream.add(3)
        await follower.upstream.publish(before)
        await follower.upstream.publish(broken, **headers)
        await follower.upstream.publish(after)
    await until(lambda: follower.whole)

    assert follower.applied == list(range(1, 3 * len(MALFORMED) + 1))
    assert follower.restarts == []


async def test_messages_of_other_kinds_are_passed_over(follower: Follower) -> None:
    upstream = follower.upstream
    for exchange in ("signals.events", "tiers.events"):
        for kind, body in (
            ("signal.withdrawn", b"{}"),
            ("beacon", b"not JSON"),
            ("beacon", b'{"type":"beacon"}'),
            ("tier.changed", b"\xff"),
            ("session.revoked", b"[]"),
            ("signal.published", b""),
        ):
            await upstream.send(exchange, body, {"type": kind})
        await upstream.send(exchange, b"", {}, kind=None)
    await upstream.publish(*upstream.add(2))
    await until(lambda: follower.whole)

    assert follower.applied == [1, 2]
    assert follower.restarts == []


async def test_the_type_is_read_from_the_headers_where_the_property_is_missing(follower: Follower) -> None:
    body = b'{"type":"beacon","epoch":"epoch-1","head":1,"committed":1,"at":1}'
    follower.upstream.add()

    await follower.upstream.send("signals.events", body, {"type": "beacon"}, kind=None)

    await until(lambda: follower.whole)


async def test_changes_of_tier_and_revocations_arrive(follower: Follower) -> None:
    follower.tiers.connect("alice")
    follower.sync.look_up("alice")
    await until(lambda: follower.told == [("alice", Tier.STARTER)])

    await follower.upstream.set_tier("alice", "pro")
    await follower.upstream.revoke("alice", 77.0)
    await until(lambda: follower.tiers.revoked("alice", 76.0))

    assert follower.tiers.tier_of("alice") is Tier.PRO
    assert follower.tiers.applied == 2


async def test_a_lost_change_of_tier_is_found_by_the_beacon_and_the_lease_is_not_renewed_before(
    follower: Follower,
) -> None:
    follower.tiers.connect("alice")
    follower.sync.look_up("alice")
    await until(lambda: follower.told)
    await follower.upstream.set_tier("alice", "elite", publish=False)

    await follower.upstream.beacon("tiers.events")
    await until(lambda: follower.tiers.tier_of("alice") is Tier.ELITE)

    await follower.upstream.beacon("tiers.events")
    await until(lambda: follower.tiers.lease_left > 0)


async def test_a_new_epoch_is_followed(follower: Follower) -> None:
    await follower.upstream.publish(*follower.upstream.add(5))
    await until(lambda: follower.feed.head == 5)

    follower.upstream.epoch = "epoch-2"
    follower.upstream.log.entries.clear()
    follower.upstream.log.standard = 0
    await follower.upstream.publish(*follower.upstream.add(2))
    await until(lambda: follower.whole)

    assert (follower.feed.epoch, follower.feed.head, follower.loads) == ("epoch-2", 2, 2)


async def test_a_fault_in_handling_one_event_is_logged_and_does_not_stop_the_others(
    follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours must be seen, and must not silence the replica."""
    handle, faults = follower.events.signal, list[int]()

    def signal(epoch: str, entry: LogEntry) -> None:
        if entry.position == 2 and not faults:
            faults.append(entry.position)
            raise ZeroDivisionError("a bug")
        handle(epoch, entry)

    follower.events.signal = signal  # type: ignore[method-assign]
    await follower.upstream.publish(*follower.upstream.add(4))
    await until(lambda: follower.whole)

    assert faults == [2]
    assert "a bug" in caplog.text


# -- what becomes of the queue --------------------------------------------------------------------


async def queues(broker: BreakableBroker) -> list[str]:
    names = await asyncio.to_thread(broker.ctl, "list_queues", "--silent", "name")
    return [name for name in names.split() if name.startswith("gateway.")]


@pytest.fixture
async def breakable(breakable_broker: BreakableBroker) -> AsyncIterator[Follower]:
    """On the broker that may be broken."""
    async with upstreams(breakable_broker.url) as upstream, following(upstream) as follower:
        yield follower


async def test_a_queue_deleted_under_its_consumer_is_noticed_and_replaced_by_another(
    breakable: Follower, breakable_broker: BreakableBroker
) -> None:
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.applied == [1, 2, 3])
    (old,) = await queues(breakable_broker)

    await asyncio.to_thread(breakable_broker.ctl, "delete_queue", old)
    await until(breakable.consumer.problem, within=5)
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.consumer.problem() is None)
    await until(lambda: breakable.whole)
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.whole)

    (new,) = await queues(breakable_broker)
    assert new != old
    assert breakable.applied == list(range(1, 10))
    assert breakable.restarts in (["returned"], ["broker"]), "replaced once, whichever sign of it came first"


async def test_a_binding_that_went_with_its_exchange_is_made_again_on_the_same_queue(
    breakable: Follower, breakable_broker: BreakableBroker
) -> None:
    """Nothing else shows it: the connection is well, and probes go through another exchange."""
    before = await queues(breakable_broker)
    async with await aio_pika.connect(breakable.upstream.amqp_url) as connection:
        channel = await connection.channel()
        await channel.exchange_delete("signals.events")

    async with asyncio.timeout(60):
        while "signals.events" not in await asyncio.to_thread(
            breakable_broker.ctl, "list_bindings", "--silent", "source_name"
        ):
            pass  # each look takes half a second
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.applied == [1, 2, 3])

    assert (breakable.restarts, await queues(breakable_broker)) == ([], before)


async def test_a_cut_connection_is_noticed_and_nothing_is_missing_afterwards(
    breakable: Follower, breakable_broker: BreakableBroker
) -> None:
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.applied == [1, 2, 3])

    await asyncio.to_thread(breakable_broker.ctl, "close_all_connections", "test")
    await until(breakable.consumer.problem, within=10)
    breakable.upstream.add(3)
    await until(lambda: breakable.consumer.problem() is None)
    await until(lambda: breakable.whole)

    await breakable.upstream.connect()
    await breakable.upstream.publish(*breakable.upstream.add(3))
    await until(lambda: breakable.whole)
    assert breakable.applied == list(range(1, 10))


async def test_a_half_open_connection_is_shown_before_it_is_closed(breakable_broker: BreakableBroker) -> None:
    """Closing waits for an answer that cannot come: whoever asks for readiness meanwhile must not be told that all is well."""
    parts = urlsplit(breakable_broker.url)
    async with TcpProxy(breakable_broker.port) as proxy, upstreams(breakable_broker.url) as upstream:
        upstream.amqp_url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        async with following(upstream) as follower:
            proxy.swallow_open()
            await until(follower.consumer.problem, within=10)
            assert follower.restarts == [], "it was shown only when the old consumer was gone"
            await upstream.publish(*upstream.add(3))
            await until(lambda: follower.consumer.problem() is None, within=20)
            await until(lambda: follower.whole)
            assert follower.restarts == ["silence"]


async def blocked_publish(upstream: Upstreams) -> asyncio.Task[None]:
    """Publish until the broker takes no more; returns what waits for it."""
    async with asyncio.timeout(15):
        while True:
            publishing = asyncio.create_task(upstream.publish(*upstream.add()))
            done, _ = await asyncio.wait({publishing}, timeout=0.5)
            if not done:
                return publishing


async def test_a_broker_that_blocks_publishers_is_no_dead_consumer(
    breakable: Follower, breakable_broker: BreakableBroker
) -> None:
    """No probe goes out during a memory alarm, and none comes back."""
    (queue,) = await queues(breakable_broker)
    await asyncio.to_thread(breakable_broker.ctl, "set_vm_memory_high_watermark", "0.000001")
    try:
        publishing = await blocked_publish(breakable.upstream)
        for _ in range(32):  # 3.2 s; without a delivery for 2, the consumer would be replaced
            await asyncio.sleep(0.1)
            assert breakable.consumer.problem() is None
        assert not publishing.done(), "the alarm is over"
    finally:
        await asyncio.to_thread(breakable_broker.ctl, "set_vm_memory_high_watermark", "0.4")
    await publishing
    await until(lambda: breakable.whole)

    assert (breakable.restarts, await queues(breakable_broker)) == ([], [queue])


async def test_a_queue_of_its_own_is_gone_when_the_replica_is(breakable_broker: BreakableBroker) -> None:
    async with upstreams(breakable_broker.url) as upstream, following(upstream):
        assert len(await queues(breakable_broker)) == 1

    for _ in range(20):  # each look takes half a second
        if not await queues(breakable_broker):
            break
    else:
        raise AssertionError("its queue is still there")


async def test_each_replica_has_a_queue_of_its_own_and_gets_everything(breakable_broker: BreakableBroker) -> None:
    async with upstreams(breakable_broker.url) as upstream, following(upstream) as first, following(upstream) as second:
        assert len(await queues(breakable_broker)) == 2
        await upstream.publish(*upstream.add(20))

        await until(lambda: first.whole and second.whole)


async def test_a_broker_that_is_away_at_start_is_waited_for(amqp_url: str) -> None:
    nowhere = str(httpx.URL(amqp_url).copy_with(port=9))
    async with upstreams(amqp_url) as upstream:
        upstream.amqp_url = nowhere
        follower = Follower(upstream)
        task = asyncio.create_task(follower.consumer.run())
        await until(lambda: len(follower.restarts) >= 2)

        assert follower.consumer.problem()
        assert set(follower.restarts) == {"broker"}
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await follower.ingest.close()
        await follower.service.close()
