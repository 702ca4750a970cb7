"""Upgrades are handled in their order, a little in each turn of the event loop."""

from functools import partial

import pytest

from tests.unit.gateway.doubles import Clock, Turns
from tiercast_gateway.upgrade_line import UpgradeLine


def test_each_turn_takes_as_many_as_its_time_allows() -> None:
    clock, turns = Clock(), Turns()
    line = UpgradeLine(turns.call_soon, seconds_per_turn=1.0, clock=clock)
    handled: list[int] = []

    def handle(number: int) -> None:
        handled.append(number)
        clock.advance(0.4)

    for number in range(7):
        line.join(partial(handle, number))
    assert (handled, len(line)) == ([], 7)
    assert turns.one()
    assert (handled, len(line)) == ([0, 1, 2], 4)
    assert len(turns.waiting) == 1
    turns.drain()
    assert handled == list(range(7))


def test_one_that_takes_longer_than_a_turn_holds_up_nobody_for_ever() -> None:
    clock, turns = Clock(), Turns()
    line = UpgradeLine(turns.call_soon, seconds_per_turn=1.0, clock=clock)
    handled: list[int] = []
    for number in range(3):
        line.join(lambda number=number: (clock.advance(5), handled.append(number)))  # type: ignore[misc]
    for expected in ([0], [0, 1], [0, 1, 2]):
        assert turns.one()
        assert handled == expected
    assert not turns.one()


def test_who_joins_from_within_waits_behind_the_others() -> None:
    turns = Turns()
    line = UpgradeLine(turns.call_soon, clock=Clock())
    handled: list[str] = []
    line.join(lambda: (handled.append("first"), line.join(lambda: handled.append("late"))))  # type: ignore[arg-type]
    line.join(lambda: handled.append("second"))
    turns.drain()
    assert handled == ["first", "second", "late"]


def test_one_that_fails_holds_up_nobody() -> None:
    turns = Turns()
    line = UpgradeLine(turns.call_soon, clock=Clock())
    handled: list[str] = []
    for upgrade in (lambda: handled.append("first"), lambda: handled.remove("nobody"), lambda: handled.append("last")):
        line.join(upgrade)
    with pytest.raises(ValueError, match="not in list"):
        turns.drain()
    turns.drain()
    assert handled == ["first", "last"]
