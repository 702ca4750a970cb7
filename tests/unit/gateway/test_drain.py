"""A replica that leaves tells every client where to go on, sends them away in waves, and does not wait for ever."""

import asyncio

from tests.unit.gateway.doubles import EPOCH, FakeWire, Replica, token, wire
from tiercast_gateway.connection import Connection, State
from tiercast_gateway.drain import MAX_RETRY_MS, Drain
from tiercast_gateway.tier_cache import LEASE_SECONDS
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import Reconnect
from tiercast_shared.contracts.tiers import Tier


class NoStreams:
    ended = False

    def end_all(self) -> None:
        self.ended = True


class Draining:
    """A drain whose waves are recorded; clients answer their close frames unless told."""

    def __init__(self, replica: Replica, *, seconds: float, answering: bool = True) -> None:
        self.replica, self.streams = replica, NoStreams()
        self.drain = Drain(
            replica.sessions,
            self.streams,  # type: ignore[arg-type]
            seconds=seconds,
            wave_seconds=0.01,
            farewell_seconds=0.05,
        )
        if answering:
            for connection in replica.sessions:
                self._answer(connection)

    def _answer(self, connection: Connection) -> None:
        fake = wire(connection)
        close = fake.close

        def close_and_leave(code: int, reason: str) -> None:
            close(code, reason)
            asyncio.get_running_loop().call_soon(self.replica.sessions.lost, connection)

        fake.close = close_and_leave  # type: ignore[method-assign]


def farewell(connection: Connection) -> Reconnect:
    """What the client was told before 4001."""
    assert wire(connection).close_code == CloseCode.DRAINING
    assert connection.state is State.CLOSED
    return Reconnect.model_validate(wire(connection).frames[-1])


async def test_everyone_is_told_when_and_where_to_go_on_and_then_closed_with_4001() -> None:
    replica = Replica()
    pro, starter = replica.connect("pro", Tier.PRO), replica.connect("starter", Tier.STARTER)
    stranger = replica.socket()
    replica.sessions.opened(stranger, None)
    replica.publish_all("spp")
    world = Draining(replica, seconds=0.05)

    await world.drain.run()

    assert [replica.cursors.open(farewell(connection).cursor).position for connection in (pro, starter)] == [3, 1]
    assert all(0 <= farewell(connection).retry_after_ms <= MAX_RETRY_MS for connection in (pro, starter))
    assert (wire(stranger).frames, wire(stranger).close_code) == ([], CloseCode.DRAINING)
    assert (len(replica.sessions), replica.sessions.leaving) == (0, 0)
    assert world.streams.ended


async def test_many_are_sent_away_in_waves_with_different_delays() -> None:
    replica = Replica()
    connections = [replica.connect(f"user-{number}") for number in range(60)]
    world = Draining(replica, seconds=0.2)
    sizes = list[int]()

    draining = asyncio.create_task(world.drain.run())
    while not draining.done():
        sizes.append(len(replica.sessions))
        await asyncio.sleep(0.002)
    await draining

    assert len(set(sizes)) > 5, "they went in several waves"
    assert len({farewell(connection).retry_after_ms for connection in connections}) > 20


async def test_a_second_signal_sends_everyone_away_at_once() -> None:
    replica = Replica()
    for number in range(50):
        replica.connect(f"user-{number}")
    world = Draining(replica, seconds=3600)
    draining = asyncio.create_task(world.drain.run())
    await asyncio.sleep(0)
    assert len(replica.sessions) == 49

    world.drain.hurry()

    async with asyncio.timeout(5):
        await draining
    assert len(replica.sessions) == 0


async def test_who_does_not_answer_the_close_frame_is_not_waited_for_for_ever() -> None:
    replica = Replica()
    replica.connect()
    world = Draining(replica, seconds=0.01, answering=False)

    async with asyncio.timeout(5):
        await world.drain.run()

    assert replica.sessions.leaving == 1


def test_nobody_is_let_in_while_it_drains() -> None:
    world = Draining(Replica(), seconds=1)

    before, world.drain.draining = world.drain.refusal(), True

    assert (before, world.drain.refusal()) == (None, "this replica is draining")


def test_a_slow_client_goes_on_from_what_it_was_really_sent() -> None:
    replica = Replica()
    connection = replica.connect()
    wire(connection).room = 0
    replica.publish_all("spsp")

    replica.sessions.send_away(connection, 5)

    assert replica.cursors.open(farewell(connection).cursor).position == 1
    assert wire(connection).positions == [1]


def test_a_client_from_whom_premium_signals_are_withheld_goes_on_before_them() -> None:
    """The next replica may know its tier, and must not take what was withheld for delivered."""
    replica = Replica()
    connection = replica.connect("alice", Tier.PRO)
    replica.publish_all("sp")
    replica.monotonic.advance(LEASE_SECONDS + 1)
    replica.sessions.sweep()
    replica.publish_all("psps")

    replica.sessions.send_away(connection, 5)

    assert replica.cursors.open(farewell(connection).cursor).position <= 2


def test_a_client_that_is_still_being_opened_is_closed_without_a_place() -> None:
    replica = Replica()
    connection = Connection("c", FakeWire(), resume=replica.cursors.seal(EPOCH, 0))
    replica.sessions.opened(connection, token("alice"))

    replica.sessions.send_away(connection, 5)
    replica.answer(alice=Tier.PRO)

    assert (wire(connection).frames, wire(connection).close_code) == ([], CloseCode.DRAINING)
