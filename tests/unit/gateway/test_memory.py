"""Memory is given back when a crowd has left, once, and not for every client that leaves."""

from collections.abc import Iterable

from tiercast_gateway.memory import MANY, MemoryReturn


def given_back(counts: Iterable[int]) -> list[int]:
    """The looks, counted from 0, at which memory was given back, if three have to agree."""
    happened: list[int] = []
    memory = MemoryReturn(lambda: happened.append(look), looks=3)
    for look, count in enumerate(counts):  # noqa: B007 - the lambda reads it
        memory.look(count)
    return happened


def test_it_is_given_back_once_when_a_crowd_has_left() -> None:
    assert given_back([0, 2500, 5000, 5000, 2000, 400, 0, 0, 0, 0, 0, 0]) == [6]


def test_it_is_kept_for_a_crowd_that_comes_back() -> None:
    assert given_back([5000, 0, 0, 4000, 5000, 5000, 0, 0, 3000]) == []


def test_each_crowd_counts_anew() -> None:
    assert given_back([5000, 0, 0, 0, 3000, 0, 0, 0, 0]) == [3, 7]


def test_a_few_who_come_and_go_are_no_reason() -> None:
    assert given_back([MANY - 1, 0, 0, 0, 0, MANY - 1, 0, 0, 0]) == []
    assert given_back([10_000, 6_000, 6_000, 6_000, 6_000, 10_000]) == []


def test_what_can_be_had_again_is_forgotten_first() -> None:
    happened: list[str] = []
    memory = MemoryReturn(lambda: happened.append("given back"), forget=[lambda: happened.append("forgotten")], looks=1)
    memory.look(MANY)
    assert happened == []
    memory.look(0)
    assert happened == ["forgotten", "given back"]
