"""What becomes of the submissions of a batch."""

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.producers import premium, standard, submission
from tiercast_ingest.domain.settlement import Known, LogEnd, Settlement, Stored, Submission
from tiercast_ingest.domain.submission import parse
from tiercast_shared.contracts.signals import SignalType
from tiercast_shared.errors import Rejected
from tiercast_shared.eventlog.chain import GENESIS, link

EMPTY = LogEnd(0, GENESIS, 0, GENESIS, 0.0)


def submitted(sent: dict[str, object], producer: str = "acme") -> Submission:
    return Submission(producer, parse(json.dumps(sent).encode()), "correlation", 1000.0)


def test_new_signals_are_numbered_in_both_feeds():
    settlement = Settlement(EMPTY, {}, now=1000.5)
    outcomes = [settlement.settle(submitted(sent)) for sent in (standard(), premium(), standard())]
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, Stored)] == [1, 2, 3]
    assert [entry.standard_seq for entry in settlement.entries] == [1, None, 2]
    assert [entry.feed for entry in settlement.entries] == ["standard", "all", "standard"]
    assert [outcome.kind for outcome in outcomes if isinstance(outcome, Stored)] == [
        SignalType.STANDARD,
        SignalType.PREMIUM,
        SignalType.STANDARD,
    ]


def test_both_chains_link_the_bodies():
    settlement = Settlement(EMPTY, {}, now=1000.5)
    for sent in (standard(), premium(), standard()):
        settlement.settle(submitted(sent))
    first, second, third = settlement.entries
    assert third.chain == link(link(link(GENESIS, first.body), second.body), third.body)
    assert third.standard_chain == link(link(GENESIS, first.body), third.body)
    assert second.standard_chain is None
    assert settlement.end == LogEnd(
        3, third.chain, 2, third.standard_chain, orjson.loads(third.body)["server_timestamp"]
    )


def test_the_same_signal_twice_in_a_batch_is_stored_once():
    settlement = Settlement(EMPTY, {}, now=1000.5)
    sent = standard()
    first, second = settlement.settle(submitted(sent)), settlement.settle(submitted(sent))
    assert isinstance(first, Stored)
    assert second == Stored(first.wire_id, 1, SignalType.STANDARD, duplicate=True)
    assert len(settlement.entries) == 1


def test_another_content_under_the_same_name_in_a_batch_is_a_conflict():
    settlement = Settlement(EMPTY, {}, now=1000.5)
    settlement.settle(submitted(standard(signal_id="s")))
    refused = settlement.settle(submitted(standard(signal_id="s")))
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.code) == (409, "conflict")
    assert len(settlement.entries) == 1


def test_names_are_compared_byte_for_byte_and_belong_to_their_producer():
    settlement = Settlement(EMPTY, {}, now=1000.5)
    for name in ("s", "S", "s ", "ß", "ss"):
        assert isinstance(settlement.settle(submitted(submission(signal_id=name))), Stored)
    assert isinstance(settlement.settle(submitted(submission(signal_id="s"), producer="other")), Stored)
    assert len(settlement.entries) == 6


def test_a_known_signal_is_a_duplicate_with_its_first_id():
    sent = submitted(standard())
    known = Known("first-id", sent.signal.content.fingerprint(), 7)
    outcome = Settlement(EMPTY, {sent.key: known}, now=1000.5).settle(sent)
    assert outcome == Stored("first-id", 7, SignalType.STANDARD, duplicate=True)


def test_a_repeated_transaction_knows_its_own_work():
    sent = submitted(standard())
    known = Known(sent.wire_id, sent.signal.content.fingerprint(), 7)
    settlement = Settlement(EMPTY, {sent.key: known}, now=1000.5)
    assert settlement.settle(sent) == Stored(sent.wire_id, 7, SignalType.STANDARD, duplicate=False)
    assert settlement.entries == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=8))
def test_server_timestamps_rise_whatever_the_clock_does(clock: list[float]):
    end, times = EMPTY, []
    for now in clock:
        settlement = Settlement(end, {}, now)
        for _ in range(2):
            settlement.settle(submitted(standard()))
        end = settlement.end
        times += [orjson.loads(entry.body)["server_timestamp"] for entry in settlement.entries]
    assert times == sorted(set(times))
    assert times[-1] == end.server_timestamp
    assert max(clock) <= times[-1] + 1e-6
