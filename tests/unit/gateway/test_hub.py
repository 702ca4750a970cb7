"""The hub sends every connection exactly what its feed and filter let through, in order, once, in one write a round."""

from itertools import pairwise

import pytest

from tests.unit.gateway.doubles import EPOCH, FakeWire, Log, Turns, entitled, position_of
from tiercast_gateway.connection import Connection, Flow
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.hub import CATCH_UP_ITEMS, Hub
from tiercast_shared.contracts.signals import Feed

ALL, STANDARD = Feed.ALL, Feed.STANDARD


class World:
    """A hub over a real feed; the test turns the loop."""

    def __init__(self, *, capacity: int = 1000, writes_per_step: int = 256) -> None:
        self.turns, self.log = Turns(), Log()
        self.rounds: list[tuple[list[int], int]] = []
        self.overruns: list[Connection] = []
        self.keep_after_overrun = True
        self.feed = SignalFeed(CursorCodec("k"), lambda applied: self.hub.publish(applied), capacity=capacity)  # noqa: PLW0108 - made below
        self.hub = Hub(
            self.feed.rings,
            call_soon=self.turns.call_soon,
            on_round=lambda batch, count: self.rounds.append(([applied.all.seq for applied in batch], count)),
            on_overrun=self._overran,
            writes_per_step=writes_per_step,
        )
        self.feed.begin(EPOCH, 0, [])
        self.hub.begin(0)

    def _overran(self, connection: Connection) -> bool:
        self.overruns.append(connection)
        return self.keep_after_overrun

    def publish(self, kinds: str = "s", *, symbol: str = "AAPL") -> None:
        for kind in kinds:
            self.feed.offer(self.log.add(premium=kind == "p", symbol=symbol))

    def connect(
        self, feed: Feed = ALL, *symbols: str, at: int | None = None, room: int | None = None
    ) -> tuple[Connection, FakeWire]:
        wire = FakeWire(room)
        connection = Connection("c", wire, symbols=frozenset(symbols) or None)
        connection.feed = feed
        wire.on_congested = lambda: self.hub.pause(connection)
        wire.on_drained = lambda: self.hub.resume(connection)
        self.hub.attach(connection, self.hub.head if at is None else at)
        return connection, wire


def test_a_signal_goes_out_in_the_loops_next_turn() -> None:
    world = World()
    _, wire = world.connect()

    world.publish()
    assert wire.positions == []
    assert world.turns.one()

    assert wire.positions == [1]
    assert not world.turns.waiting, "and then the hub is at rest"


def test_all_that_arrived_before_the_turn_is_written_at_once() -> None:
    world = World()
    wires = [world.connect(feed)[1] for feed in (ALL, ALL, STANDARD)]

    world.publish("spsps")
    world.turns.drain()

    assert [wire.sends for wire in wires] == [1, 1, 1]
    assert [wire.positions for wire in wires] == [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [1, 3, 5]]
    assert world.rounds == [([1, 2, 3, 4, 5], 5 + 5 + 3)]


def test_each_feed_counts_for_itself_and_without_a_hole() -> None:
    world = World()
    (_, everything), (_, standard) = world.connect(ALL), world.connect(STANDARD)

    world.publish("psppsp")
    world.turns.drain()

    assert [frame["seq"] for frame in everything.signals] == [1, 2, 3, 4, 5, 6]
    assert [frame["seq"] for frame in standard.signals] == [1, 2]


def test_a_round_of_premium_signals_alone_writes_nothing_to_a_starter() -> None:
    world = World()
    _, wire = world.connect(STANDARD)

    world.publish("ppp")
    world.turns.drain()

    assert wire.sends == 0
    assert world.rounds == [([1, 2, 3], 0)]


def test_a_filter_lets_its_symbols_through_and_nothing_else() -> None:
    world = World()
    (_, one), (_, two), (_, none) = (
        world.connect(ALL, "AAPL"),
        world.connect(ALL, "MSFT", "AAPL"),
        world.connect(ALL, "TSLA"),
    )

    for symbol in ("AAPL", "MSFT", "GOOG", "AAPL"):
        world.publish(symbol=symbol)
    world.turns.drain()

    assert (one.positions, two.positions, none.positions) == ([1, 4], [1, 2, 4], [])
    assert (one.sends, two.sends, none.sends) == (1, 1, 0)


def test_connections_with_the_same_filter_share_one_payload() -> None:
    world = World()
    wires = [world.connect(ALL, "AAPL", "MSFT")[1] for _ in range(3)]
    world.connect(ALL, "MSFT", "AAPL")

    world.publish()
    world.turns.drain()

    assert len(world.hub._audiences) == 1
    assert [wire.positions for wire in wires] == [[1]] * 3


def test_an_empty_filter_lets_nothing_through() -> None:
    world = World()
    connection, wire = world.connect()
    world.hub.change(connection, feed=ALL, symbols=frozenset())

    world.publish("sp")
    world.turns.drain()

    assert wire.sends == 0
    assert connection.flow is Flow.LIVE


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_a_long_round_yields_to_the_loop_and_leaves_nobody_out(step: int) -> None:
    world = World(writes_per_step=step)
    wires = [world.connect(feed)[1] for feed in (ALL, STANDARD) for _ in range(5)]

    world.publish("s")
    turns = 0
    while world.turns.one():
        turns += 1
        assert sum(wire.sends for wire in wires) <= turns * step

    assert [wire.positions for wire in wires] == [[1]] * 10


def test_what_arrives_during_a_round_is_the_next_round() -> None:
    world = World(writes_per_step=1)
    wires = [world.connect()[1] for _ in range(3)]

    world.publish()
    world.turns.one()
    world.publish("ps")
    world.turns.drain()

    assert [batch for batch, _ in world.rounds] == [[1], [2, 3]]
    assert [wire.positions for wire in wires] == [[1, 2, 3]] * 3
    assert [wire.sends for wire in wires] == [2, 2, 2]


def test_a_newcomer_gets_what_was_published_after_it_came_and_nothing_before() -> None:
    world = World()
    world.publish("ss")
    world.turns.drain()

    _, wire = world.connect()
    world.publish("s")
    world.turns.drain()

    assert wire.positions == [3]


def test_a_newcomer_during_a_round_does_not_get_that_round_twice() -> None:
    world = World(writes_per_step=1)
    for _ in range(3):
        world.connect()
    world.publish()
    world.turns.one()

    _, fresh = world.connect()
    _, resuming = world.connect(at=0)
    world.turns.drain()

    assert fresh.positions == []
    assert resuming.positions == [1]


def test_a_connection_resumes_after_its_position_and_is_live_then() -> None:
    world = World()
    world.publish("spspsp")
    world.turns.drain()
    (everything, all_wire), (standard, standard_wire) = world.connect(ALL, at=2), world.connect(STANDARD, at=2)

    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert all_wire.positions == [3, 4, 5, 6, 7]
    assert standard_wire.positions == [3, 5, 7]
    assert (everything.flow, standard.flow) == (Flow.LIVE, Flow.LIVE)


def test_a_connection_ahead_of_the_hub_gets_nothing_twice() -> None:
    """The feed has a signal that the hub has not begun to send, and a client comes that got it from another replica."""
    world = World()
    world.publish("ss")

    _, wire = world.connect(at=1)
    _, newest = world.connect(at=2)
    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert wire.positions == [2, 3]
    assert newest.positions == [3]


def test_only_what_was_there_when_it_came_is_marked_as_replayed() -> None:
    world = World()
    world.publish("sss")
    world.turns.drain()
    connection, wire = world.connect(at=1)
    connection.replay_until = 3

    world.publish("s")
    world.turns.drain()

    assert [frame.get("replay") for frame in wire.signals] == [True, True, None]


def test_a_long_catch_up_goes_in_bounded_turns_with_live_ones_between() -> None:
    world = World()
    world.publish("s" * (3 * CATCH_UP_ITEMS + 5))
    world.turns.drain()
    _, behind = world.connect(at=0)
    _, live = world.connect()

    world.turns.one()
    assert len(behind.positions) == CATCH_UP_ITEMS
    world.publish("s")
    world.turns.one()
    assert live.positions == [world.log.head], "the live one did not wait for the other to catch up"
    world.turns.drain()

    assert behind.positions == list(range(1, world.log.head + 1))


def test_those_who_catch_up_take_turns() -> None:
    world = World(writes_per_step=1)
    world.publish("s" * (2 * CATCH_UP_ITEMS))
    world.turns.drain()
    _, first = world.connect(at=0)
    _, second = world.connect(at=0)

    world.turns.one()
    world.turns.one()

    assert (len(first.positions), len(second.positions)) == (CATCH_UP_ITEMS, CATCH_UP_ITEMS)


# -- transports that fill up ----------------------------------------------------------------------


def test_a_socket_that_takes_part_of_a_round_gets_the_rest_later_and_then_what_it_missed() -> None:
    world = World()
    connection, wire = world.connect(room=100)

    world.publish("ss")
    world.turns.drain()
    assert connection.flow is Flow.PAUSED
    world.publish("pp")
    world.turns.drain()
    assert wire.sends == 1, "it is written no more"
    wire.drain()
    world.turns.drain()

    assert wire.positions == [1, 2, 3, 4]
    assert connection.flow is Flow.LIVE


def test_a_socket_that_takes_nothing_has_the_round_waiting() -> None:
    world = World()
    connection, wire = world.connect(room=0)

    world.publish("s")
    world.turns.drain()

    assert (len(wire.sent), wire.positions, connection.flow) == (0, [1], Flow.PAUSED)
    assert world.hub.position_of(connection) == 1


def test_a_full_socket_among_others_delays_nobody() -> None:
    world = World(writes_per_step=2)
    wires = [world.connect(room=room)[1] for room in (None, 0, 10, None, 0)]

    world.publish("s")
    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert [wire.positions for wire in wires] == [[1, 2], [1], [1], [1, 2], [1]]
    for wire in wires:
        wire.drain()
    world.turns.drain()
    assert [wire.positions for wire in wires] == [[1, 2]] * 5


def test_a_transport_that_fills_up_while_catching_up_goes_on_where_it_stopped() -> None:
    world = World()
    world.publish("s" * (2 * CATCH_UP_ITEMS))
    world.turns.drain()
    connection, wire = world.connect(at=0, room=1000)

    world.turns.drain()
    assert connection.flow is Flow.PAUSED
    assert world.hub.position_of(connection) == CATCH_UP_ITEMS
    wire.drain(room=5000)
    world.turns.drain()
    assert connection.flow is Flow.PAUSED
    wire.drain()
    world.turns.drain()

    assert wire.positions == list(range(1, 2 * CATCH_UP_ITEMS + 1))
    assert connection.flow is Flow.LIVE


def test_a_connection_whose_transport_is_full_when_it_comes_is_not_written_to() -> None:
    world = World()
    wire = FakeWire(room=0)
    connection = Connection("c", wire)
    connection.feed = ALL
    connection.send(b"\x81\x02{}")

    world.hub.attach(connection, 0)
    world.publish("s")
    world.turns.drain()

    assert connection.flow is Flow.PAUSED
    assert wire.sends == 1


def test_pausing_and_resuming_what_is_not_there_does_nothing() -> None:
    world = World()
    connection, wire = world.connect()
    world.hub.resume(connection)
    assert connection.flow is Flow.LIVE
    world.hub.detach(connection)

    world.hub.pause(connection)
    world.hub.resume(connection)
    world.publish()
    world.turns.drain()

    assert connection.flow is Flow.DETACHED
    assert wire.sends == 0


def test_a_ring_that_moves_past_a_slow_connection_is_told_once_and_it_goes_on_from_the_present() -> None:
    world = World(capacity=4)
    connection, wire = world.connect(room=0)
    world.publish("s")
    world.turns.drain()

    world.publish("s" * 6)
    world.turns.drain()
    wire.drain()
    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert world.overruns == [connection]
    assert wire.positions == [1, 8]
    assert connection.flow is Flow.LIVE


def test_a_slow_connection_that_just_fits_the_ring_misses_nothing() -> None:
    world = World(capacity=4)
    _, wire = world.connect(room=0)
    world.publish("s")
    world.turns.drain()

    world.publish("s" * 4)
    world.turns.drain()
    wire.drain()
    world.turns.drain()

    assert world.overruns == []
    assert wire.positions == [1, 2, 3, 4, 5]


def test_premium_signals_do_not_push_a_slow_starter_out_of_its_ring() -> None:
    world = World(capacity=4)
    _, wire = world.connect(STANDARD, room=0)
    world.publish("s")
    world.turns.drain()

    world.publish("p" * 50 + "ss")
    world.turns.drain()
    wire.drain()
    world.turns.drain()

    assert world.overruns == []
    assert wire.positions == [1, 52, 53]


def test_a_connection_that_is_given_up_after_an_overrun_is_sent_nothing_more() -> None:
    world = World(capacity=4)
    world.keep_after_overrun = False
    connection, wire = world.connect(room=0)
    world.publish("s")
    world.turns.drain()
    world.publish("s" * 6)
    world.turns.drain()

    wire.drain()
    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert wire.positions == [1]
    assert connection.flow is Flow.DETACHED


def test_a_transport_that_fills_up_with_the_news_of_an_overrun_is_not_written_to() -> None:
    world = World(capacity=4)
    connection, wire = world.connect(room=0)
    world.publish("s" * 2)
    world.turns.drain()
    world.publish("s" * 6)
    world.turns.drain()

    def tell_and_fill(overrun: Connection) -> bool:
        wire.room = 0
        overrun.send(b"\x81\x02{}")
        return True

    world.hub._on_overrun = tell_and_fill
    wire.drain()
    world.turns.drain()

    assert connection.flow is Flow.PAUSED


# -- changes of feed and filter -------------------------------------------------------------------


def test_a_downgrade_in_mid_round_keeps_premium_signals_of_that_round_back() -> None:
    world = World(writes_per_step=1)
    (_, first), (second, wire) = world.connect(), world.connect()
    world.publish("sps")
    world.turns.one()

    world.hub.change(second, feed=STANDARD, symbols=None)
    world.turns.drain()

    assert first.positions == [1, 2, 3]
    assert wire.positions == [1, 3]


def test_an_upgrade_takes_effect_from_the_present_position_on() -> None:
    world = World()
    connection, wire = world.connect(STANDARD)
    world.publish("sp")
    world.turns.drain()

    world.hub.change(connection, feed=ALL, symbols=None)
    world.publish("ps")
    world.turns.drain()

    assert wire.positions == [1, 3, 4]


def test_a_change_while_paused_counts_for_all_that_was_missed() -> None:
    world = World()
    connection, wire = world.connect(room=0)
    world.publish("s")
    world.turns.drain()
    world.publish("ps")
    world.turns.drain()

    world.hub.change(connection, feed=STANDARD, symbols=None)
    wire.drain()
    world.turns.drain()

    assert wire.positions == [1, 3]


def test_a_change_while_catching_up_counts_from_there_on() -> None:
    world = World()
    world.publish("sp" * CATCH_UP_ITEMS)
    world.turns.drain()
    connection, wire = world.connect(at=0)
    world.turns.one()

    world.hub.change(connection, feed=STANDARD, symbols=None)
    world.turns.drain()

    late = [position for position in wire.positions if position > CATCH_UP_ITEMS]
    assert late == entitled(world.log.between(CATCH_UP_ITEMS), STANDARD)


def test_a_new_filter_in_mid_round_repeats_nothing_and_loses_nothing() -> None:
    world = World(writes_per_step=1)
    connections = [world.connect(ALL, "AAPL") for _ in range(3)]
    world.publish(symbol="AAPL")
    world.publish(symbol="MSFT")
    world.turns.one()

    for connection, _ in connections:
        world.hub.change(connection, feed=ALL, symbols=frozenset({"AAPL", "MSFT"}))
    world.turns.drain()

    assert connections[0][1].positions == [1], "this one had its round already"
    assert connections[1][1].positions == [1, 2]
    assert connections[2][1].positions == [1, 2]


def test_leaving_in_mid_round_stops_at_once() -> None:
    world = World(writes_per_step=1)
    connections = [world.connect() for _ in range(3)]
    world.publish("s")
    world.turns.one()

    world.hub.detach(connections[2][0])
    world.turns.drain()

    assert [wire.positions for _, wire in connections] == [[1], [1], []]
    assert world.hub.position_of(connections[2][0]) == 0


def test_leaving_and_coming_back_in_mid_round_repeats_nothing() -> None:
    world = World(writes_per_step=1)
    connections = [world.connect() for _ in range(3)]
    world.publish("s")
    world.turns.one()

    for connection, _ in connections:
        world.hub.detach(connection)
        world.hub.attach(connection, world.hub.position_of(connection))
    world.turns.drain()

    assert [wire.positions for _, wire in connections] == [[1]] * 3


def test_the_indexes_hold_nothing_after_everyone_has_left() -> None:
    world = World()
    connections = [world.connect(feed, *symbols)[0] for feed in Feed for symbols in ((), ("A",), ("A", "B"))]
    world.publish("sp", symbol="A")
    world.turns.drain()
    assert world.hub.live == 6

    for connection in connections:
        world.hub.detach(connection)

    assert world.hub._audiences == {}
    assert world.hub._by_symbol == {}
    assert (world.hub.live, world.hub.behind) == (0, 0)
    world.publish("sp", symbol="A")
    world.turns.drain()
    assert world.hub._by_symbol == {}, "asking for a symbol does not leave an entry behind"


# -- a new life -----------------------------------------------------------------------------------


def test_beginning_anew_in_mid_round_drops_the_round() -> None:
    world = World(writes_per_step=1)
    connections = [world.connect() for _ in range(3)]
    world.publish("ss")
    world.turns.one()

    world.hub.begin(world.feed.head)
    world.turns.drain()
    world.publish("s")
    world.turns.drain()

    assert [wire.positions for _, wire in connections] == [[1, 2, 3], [3], [3]]


def test_cursors_of_a_connections_signals_follow_each_other() -> None:
    world = World()
    _, wire = world.connect(STANDARD)
    world.publish("psps")
    world.turns.drain()
    codec = CursorCodec("k")

    opened = [codec.open(frame["cursor"]).position for frame in wire.signals]

    assert opened == [position_of(frame) for frame in wire.signals] == [2, 4]
    assert all(a < b for a, b in pairwise(opened))
