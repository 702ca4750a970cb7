"""Acknowledging in as few acknowledgements as possible, and never too much."""

from hypothesis import given
from hypothesis import strategies as st

from tiercast_ingest.domain.acknowledgements import Acknowledgement, Acknowledgements


def delivered(count: int) -> Acknowledgements:
    acknowledgements = Acknowledgements()
    for tag in range(1, count + 1):
        acknowledgements.delivered(tag)
    return acknowledgements


def test_a_settled_prefix_is_acknowledged_at_once():
    acknowledgements = delivered(3)
    for tag in (2, 1, 3):
        acknowledgements.settle(tag)
    assert acknowledgements.take() == [Acknowledgement(3, multiple=True)]
    assert acknowledgements.take() == []
    assert acknowledgements.in_flight == 0


def test_nothing_behind_an_open_message_is_covered():
    acknowledgements = delivered(3)
    acknowledgements.settle(1)
    acknowledgements.settle(3)
    assert acknowledgements.take() == [Acknowledgement(1, multiple=True)]
    acknowledgements.settle(2)
    assert acknowledgements.take() == [Acknowledgement(3, multiple=True)]


def test_messages_behind_a_detained_one_are_acknowledged_one_by_one():
    acknowledgements = delivered(4)
    acknowledgements.detain(2)
    for tag in (1, 3, 4):
        acknowledgements.settle(tag)
    assert acknowledgements.take() == [
        Acknowledgement(1, multiple=True),
        Acknowledgement(3, multiple=False),
        Acknowledgement(4, multiple=False),
    ]
    acknowledgements.settle(2)
    assert acknowledgements.take() == [Acknowledgement(2, multiple=True)]


@given(st.data())
def test_every_settled_message_is_acknowledged_once_and_no_other_ever(data: st.DataObject):
    count = data.draw(st.integers(1, 30))
    order = data.draw(st.permutations(range(1, count + 1)))
    detained = data.draw(st.sets(st.sampled_from(order)))
    acknowledgements = delivered(count)
    for tag in detained:
        acknowledgements.detain(tag)
    settled: set[int] = set()
    acknowledged: set[int] = set()
    for tag in order:
        acknowledgements.settle(tag)
        settled.add(tag)
        if data.draw(st.booleans()):
            acknowledged |= broker_side(acknowledgements, acknowledged)
            assert acknowledged <= settled
    acknowledged |= broker_side(acknowledgements, acknowledged)
    assert acknowledged == settled
    assert acknowledgements.in_flight == 0


def broker_side(acknowledgements: Acknowledgements, acknowledged: set[int]) -> set[int]:
    """What the broker takes as acknowledged by what is sent now."""
    covered: set[int] = set()
    for tag, multiple in acknowledgements.take():
        assert tag not in acknowledged | covered, "the broker closes the channel for an unknown tag"
        covered |= set(range(1, tag + 1)) - acknowledged if multiple else {tag}
    return covered
