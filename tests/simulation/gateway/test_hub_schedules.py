"""However clients, signals and turns of the loop interleave, nobody is sent too much, too little, twice or out of order."""

import random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.simulation.gateway.hub_world import FILTERS, LARGE_RING, SMALL_RING, SYMBOLS, Client, HubWorld
from tiercast_shared.contracts.signals import Feed

SCHEDULES = 1500
STEPS = 60
FEEDS = tuple(Feed)
FROZEN = (None, "here", "there")


def play(seed: int) -> HubWorld:  # noqa: C901 - one branch per kind of step
    """One schedule, wholly determined by its seed."""
    chance = random.Random(seed)
    capacity = chance.choice((SMALL_RING, SMALL_RING, SMALL_RING, LARGE_RING))
    world = HubWorld(writes_per_step=chance.choice((1, 1, 2, 3, 256)), capacity=capacity)
    bursts = (1, 1, 1, 3, capacity // 2 + 1)

    def someone() -> Client | None:
        return chance.choice(world.present) if world.present else None

    for _ in range(STEPS):
        step, client = chance.random(), someone()
        if step < 0.28:
            for _ in range(chance.choice(bursts)):
                world.publish(chance.random() < 0.4, chance.choice(SYMBOLS))
        elif step < 0.56:
            world.turn()
        elif step < 0.68 or client is None:
            room = chance.choice((None, None, None, 0, 150))
            world.attach(chance.choice(FEEDS), chance.choice(FILTERS), chance.randrange(-4, 3 + capacity), room)
        elif step < 0.76:
            world.change(client, chance.choice(FEEDS), chance.choice(FILTERS))
        elif step < 0.79:
            world.freeze(client, chance.choice(FROZEN))
        elif step < 0.84:
            world.clog(client, chance.choice((0, 50, 200)))
        elif step < 0.94:
            world.drain(client, chance.choice((None, None, 0, 100, 400)))
        elif step < 0.97:
            world.detach(client)
        else:
            world.reattach(client)
        world.check_indexes()
    world.settle()
    return world


def test_every_seeded_schedule_holds_and_ends_at_rest() -> None:
    met = {"overruns": 0, "rounds": 0, "signals": 0, "clients": 0}
    for seed in range(SCHEDULES):
        try:
            world = play(seed)
        except AssertionError as error:
            error.add_note(f"play({seed}) shows it again")
            raise
        met["rounds"] += world.rounds
        met["signals"] += len(world.entries)
        met["clients"] += len(world.clients)
        met["overruns"] += sum(client.overruns for client in world.clients)
    assert all(count > SCHEDULES / 2 for count in met.values()), f"the schedules met too little: {met}"


class HubMachine(RuleBasedStateMachine):
    """The same world, with hypothesis looking for the shortest schedule that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.world = HubWorld()

    @rule(premium=st.booleans(), symbol=st.sampled_from(SYMBOLS), count=st.sampled_from((1, 2, 15)))
    def publish(self, premium: bool, symbol: str, count: int) -> None:
        for _ in range(count):
            self.world.publish(premium, symbol)

    @rule()
    def turn(self) -> None:
        self.world.turn()

    @rule(
        feed=st.sampled_from(FEEDS),
        symbols=st.sampled_from(FILTERS),
        back=st.integers(-1, 14),
        room=st.sampled_from((None, 0, 150)),
    )
    def attach(self, **how: Any) -> None:
        self.world.attach(**how)

    @precondition(lambda self: self.world.present)
    @rule(data=st.data())
    def detach(self, data: st.DataObject) -> None:
        self.world.detach(self._someone(data))

    @precondition(lambda self: self.world.present)
    @rule(data=st.data())
    def reattach(self, data: st.DataObject) -> None:
        self.world.reattach(self._someone(data))

    @precondition(lambda self: self.world.present)
    @rule(data=st.data(), feed=st.sampled_from(FEEDS), symbols=st.sampled_from(FILTERS))
    def change(self, data: st.DataObject, feed: Feed, symbols: frozenset[str] | None) -> None:
        self.world.change(self._someone(data), feed, symbols)

    @precondition(lambda self: self.world.present)
    @rule(data=st.data(), cursor=st.sampled_from(FROZEN))
    def freeze(self, data: st.DataObject, cursor: str | None) -> None:
        self.world.freeze(self._someone(data), cursor)

    @precondition(lambda self: self.world.present)
    @rule(data=st.data(), room=st.sampled_from((0, 50, 200)))
    def clog(self, data: st.DataObject, room: int) -> None:
        self.world.clog(self._someone(data), room)

    @precondition(lambda self: self.world.present)
    @rule(data=st.data(), room=st.sampled_from((None, 0, 100, 400)))
    def drain(self, data: st.DataObject, room: int | None) -> None:
        self.world.drain(self._someone(data), room)

    @invariant()
    def indexes_are_sound(self) -> None:
        self.world.check_indexes()

    def teardown(self) -> None:
        self.world.settle()

    def _someone(self, data: st.DataObject) -> Client:
        return data.draw(st.sampled_from(self.world.present))


TestHubMachine = HubMachine.TestCase
TestHubMachine.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
