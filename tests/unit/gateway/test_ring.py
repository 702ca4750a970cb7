"""The ring keeps the newest items of one feed and says from where on it is whole."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway.doubles import Log
from tiercast_gateway.ring import Ring, RingItem


def filled(kinds: str, capacity: int) -> tuple[Ring, Log]:
    """A ring of the standard entries of a log."""
    ring, log = Ring(capacity), Log()
    for entry in log.add_all(kinds):
        if entry.standard_seq is not None:
            ring.append(RingItem(entry.standard_seq, entry, f"cursor-{entry.position}"))
    return ring, log


def positions(items: list[RingItem]) -> list[int]:
    return [item.entry.position for item in items]


def test_an_empty_ring_has_nothing_after_any_position() -> None:
    ring = Ring(3)

    assert len(ring) == 0
    assert ring.after(0, 100, 10) == []
    assert ring.last_at(100) is None
    assert list(ring.newest()) == []
    assert (ring.floor, ring.seq) == (0, 0)


def test_the_oldest_item_goes_when_one_too_many_comes_and_the_floor_is_its_position() -> None:
    ring, _ = filled("ssss", capacity=3)

    assert positions(ring.after(0, 100, 10)) == [2, 3, 4]
    assert ring.floor == 1
    assert ring.seq == 4


def test_the_floor_of_a_sparse_feed_is_the_last_dropped_position_of_that_feed() -> None:
    ring, _ = filled("sppspps", capacity=2)

    assert positions(ring.after(0, 100, 10)) == [4, 7]
    assert ring.floor == 1


def test_items_are_read_strictly_after_and_up_to_positions_that_need_not_be_in_the_ring() -> None:
    ring, _ = filled("pspspsps", capacity=10)

    assert positions(ring.after(2, 6, 10)) == [4, 6]
    assert positions(ring.after(3, 7, 10)) == [4, 6]
    assert positions(ring.after(0, 8, 2)) == [2, 4]
    assert positions(ring.after(8, 8, 10)) == []


def test_the_newest_up_to_a_position_is_found() -> None:
    ring, _ = filled("spps", capacity=10)

    assert ring.last_at(0) is None
    assert [ring.last_at(position).entry.position for position in (1, 2, 3, 4, 99)] == [1, 1, 1, 4, 4]


def test_a_dropped_item_is_never_found_again() -> None:
    ring, _ = filled("sss", capacity=2)

    assert ring.last_at(1) is None
    assert positions(list(ring.newest())) == [3, 2]


def test_clearing_sets_floor_and_number() -> None:
    ring, _ = filled("sss", capacity=2)

    ring.clear(70, 7)

    assert (len(ring), ring.floor, ring.seq) == (0, 70, 7)
    assert ring.after(0, 100, 10) == []


@given(kinds=st.text("ps", max_size=60), capacity=st.integers(1, 7), data=st.data())
def test_a_ring_answers_as_a_plain_list_would(kinds: str, capacity: int, data: st.DataObject) -> None:
    ring, log = filled(kinds, capacity)
    standard = [entry.position for entry in log.entries if not entry.premium]
    kept, dropped = standard[-capacity:], standard[:-capacity]
    after, upto = data.draw(st.integers(0, 61)), data.draw(st.integers(0, 61))
    limit = data.draw(st.integers(0, 10))

    assert len(ring) == len(kept)
    assert ring.floor == (dropped[-1] if dropped else 0)
    assert ring.seq == len(standard)
    assert positions(ring.after(after, upto, limit)) == [p for p in kept if after < p <= upto][:limit]
    assert positions(list(ring.newest())) == kept[::-1]
    last = ring.last_at(upto)
    assert (last.entry.position if last else None) == max((p for p in kept if p <= upto), default=None)
