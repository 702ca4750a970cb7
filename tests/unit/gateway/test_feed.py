"""The feed is contiguous whatever order entries arrive in, and what it shows a STARTER depends on standard signals only."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway.doubles import EPOCH, Log, make_feed
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.feed import MAX_WAITING
from tiercast_shared.contracts.signals import Feed

CURSORS = CursorCodec("service-key")


def opened(cursor: str) -> int:
    return CURSORS.open(cursor).position


def positions(feed, name: Feed) -> list[int]:
    return [item.entry.position for item in reversed(list(feed.rings[name].newest()))]


def test_entries_in_order_enter_both_rings_with_their_own_numbers() -> None:
    made, log = make_feed(), Log()
    for entry in log.add_all("spps"):
        made.feed.offer(entry)

    assert positions(made.feed, Feed.ALL) == [1, 2, 3, 4]
    assert positions(made.feed, Feed.STANDARD) == [1, 4]
    assert [item.seq for item in made.feed.rings[Feed.STANDARD].newest()] == [2, 1]
    assert [applied.on(Feed.STANDARD) is None for applied in made.applied] == [False, True, True, False]
    assert not made.feed.gap


def test_every_order_of_arrival_gives_the_same_feed() -> None:
    log = Log()
    entries = log.add_all("spsps")
    for order in permutations(entries):
        made = make_feed()
        for entry in order:
            made.feed.offer(entry)
        assert made.positions == [1, 2, 3, 4, 5]


def test_duplicates_are_dropped_whether_applied_or_still_waiting() -> None:
    made, log = make_feed(), Log()
    first, second, third = log.add_all("sss")

    for entry in (first, first, third, third, first, second, third, second):
        made.feed.offer(entry)

    assert made.positions == [1, 2, 3]


def test_a_gap_holds_back_what_is_beyond_it_and_is_told() -> None:
    made, log = make_feed(), Log()
    log.add_all("sss")

    made.feed.offer(log[1])
    made.feed.offer(log[3])

    assert made.positions == [1]
    assert made.feed.gap
    made.feed.offer(log[2])
    assert made.positions == [1, 2, 3]
    assert not made.feed.gap


def test_a_head_told_by_a_beacon_is_a_gap_until_it_is_applied() -> None:
    made, log = make_feed(), Log()

    made.feed.learn_head(1)

    assert made.feed.gap
    made.feed.offer(log.add())
    assert not made.feed.gap


def test_a_lower_head_is_no_news() -> None:
    made, log = make_feed(), Log()
    made.feed.offer(log.add())

    made.feed.learn_head(0)

    assert (made.feed.known_head, made.feed.head) == (1, 1)


def test_forgetting_beyond_a_head_closes_the_gap_and_drops_what_waited_there() -> None:
    made, log = make_feed(), Log()
    log.add_all("sssss")
    made.feed.offer(log[1])
    made.feed.offer(log[3])
    made.feed.offer(log[5])

    made.feed.forget_beyond(3)
    made.feed.offer(log[2])

    assert made.positions == [1, 2, 3]
    assert not made.feed.gap
    made.feed.offer(log[4])
    assert made.positions == [1, 2, 3, 4], "what waited beyond the log's end was really dropped"


def test_forgetting_beyond_a_head_below_ones_own_leaves_what_was_applied() -> None:
    made, log = make_feed(), Log()
    for entry in log.add_all("sss"):
        made.feed.offer(entry)

    made.feed.forget_beyond(1)

    assert (made.feed.head, made.feed.known_head, made.feed.gap) == (3, 3, False)


def test_what_waits_beyond_a_gap_is_bounded_and_the_rest_stays_a_gap() -> None:
    made, log = make_feed(), Log()
    for _ in range(MAX_WAITING + 3):
        log.add()

    for entry in log.between(1):
        made.feed.offer(entry)
    made.feed.offer(log[1])

    assert made.feed.head == MAX_WAITING + 1
    assert made.feed.gap, "the last two were not kept, but it is known that they exist"


def test_nothing_is_applied_before_the_feed_began_and_what_came_early_follows_on() -> None:
    made, log = make_feed(begun=False), Log()
    log.add_all("sssss")

    made.feed.offer(log[4])
    made.feed.offer(log[3])
    assert not made.feed.started
    assert made.positions == []

    made.feed.begin(EPOCH, 1, [log[1]])
    assert made.feed.gap
    made.feed.offer(log[2])

    assert made.positions == [2, 3, 4]


def test_what_came_early_and_lies_below_the_floor_is_dropped() -> None:
    made, log = make_feed(begun=False), Log()
    log.add_all("sss")
    made.feed.offer(log[2])

    made.feed.begin(EPOCH, 3, log.entries)

    assert made.positions == []
    assert not made.feed.gap


def test_a_new_epoch_drops_what_waited_in_the_old_one() -> None:
    made, old, new = make_feed(), Log(), Log()
    old.add_all("sss")
    made.feed.offer(old[1])
    made.feed.offer(old[3])

    made.feed.begin("epoch-2", 0, [])
    for entry in new.add_all("pp"):
        made.feed.offer(entry)

    assert made.feed.head == 2
    assert not made.feed.gap, "the old life's third entry is not waited for"
    assert positions(made.feed, Feed.STANDARD) == []


def test_beginning_anew_in_the_same_epoch_keeps_what_waits() -> None:
    made, log = make_feed(), Log()
    log.add_all("sssss")
    made.feed.offer(log[5])

    made.feed.begin(EPOCH, 3, log.entries[:3])
    made.feed.offer(log[4])

    assert made.positions == [4, 5]


def test_older_standard_entries_fill_the_standard_ring_when_all_recent_ones_are_premium() -> None:
    log = Log()
    log.add_all("sspspppp")
    made = make_feed(begun=False)

    made.feed.begin(EPOCH, 4, log.standard_before(5, 10))
    for entry in log.between(4):
        made.feed.offer(entry)

    assert positions(made.feed, Feed.STANDARD) == [1, 2, 4]
    assert positions(made.feed, Feed.ALL) == [5, 6, 7, 8]
    assert made.feed.rings[Feed.STANDARD].seq == 3
    assert made.applied[0].all.seq == 5, "older ones are history, not news"


def test_the_standard_number_goes_on_where_the_older_entries_end() -> None:
    log = Log()
    log.add_all("ssps")
    made = make_feed(begun=False)

    made.feed.begin(EPOCH, 3, log.standard_before(4, 10))
    made.feed.offer(log[4])

    assert [item.seq for item in made.feed.rings[Feed.STANDARD].newest()] == [3, 2, 1]


@given(kinds=st.text("ps", max_size=40), floor=st.integers(0, 40), capacity=st.integers(1, 12))
def test_a_starters_cursor_is_always_that_of_a_standard_signal(kinds: str, floor: int, capacity: int) -> None:
    log = Log()
    log.add_all(kinds)
    floor = min(floor, log.head)
    made = make_feed(capacity=capacity, begun=False)
    made.feed.begin(EPOCH, floor, log.standard_before(floor + 1, capacity))
    standard = [entry.position for entry in log.entries if not entry.premium]
    for entry in log.between(floor):
        made.feed.offer(entry)
        newest = max((position for position in standard if position <= entry.position), default=0)
        assert opened(made.feed.cursor(Feed.STANDARD)) == newest
        assert opened(made.feed.cursor(Feed.ALL)) == entry.position
    for position in range(log.head + 1):
        cursor = opened(made.feed.cursor_at(Feed.STANDARD, position))
        if position >= made.feed.rings[Feed.STANDARD].floor:
            assert cursor in {0, *standard}
        else:
            assert cursor == position, "where a backfill is, which the client knows already"


@given(kinds=st.text("ps", max_size=40), floor=st.integers(0, 40), capacity=st.integers(1, 12))
def test_premium_signals_change_nothing_that_a_starters_resume_depends_on(
    kinds: str, floor: int, capacity: int
) -> None:
    """Two replicas restart, one after a log with premium signals in it and one after the same log without them."""
    mixed, plain = Log(), Log()
    mixed.add_all(kinds)
    plain.add_all(kinds.replace("p", ""))
    floor = min(floor, mixed.head)
    standard_below = [entry for entry in mixed.entries[:floor] if not entry.premium]
    in_mixed = {entry.standard_seq: entry.position for entry in mixed.entries if not entry.premium}
    with_premium, without = make_feed(capacity=capacity, begun=False), make_feed(capacity=capacity, begun=False)

    with_premium.feed.begin(EPOCH, floor, standard_below[-capacity:])
    without.feed.begin(EPOCH, len(standard_below), plain.standard_before(len(standard_below) + 1, capacity))

    for number in range(plain.head + 1):  # a STARTER's cursor: the last standard signal seen, or none
        mine, same = in_mixed.get(number, 0), number
        assert (mine >= with_premium.feed.rings[Feed.STANDARD].floor) == (
            same >= without.feed.rings[Feed.STANDARD].floor
        ), f"after standard signal {number}"


def test_a_log_without_any_standard_signal_leaves_a_starter_with_nothing_missed() -> None:
    log = Log()
    log.add_all("pppp")
    made = make_feed(begun=False)

    made.feed.begin(EPOCH, 4, [])

    assert opened(made.feed.cursor(Feed.STANDARD)) == 0
    assert made.feed.rings[Feed.STANDARD].floor == 0
