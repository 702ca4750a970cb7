"""A signal on the wire."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.producers import submission
from tiercast_ingest.domain.signal import render, signal_type, smallest_feed
from tiercast_ingest.domain.submission import parse
from tiercast_shared.contracts.signals import Feed, Signal, SignalType

WIRE_ID = "5f0c8a52-6d1f-4a57-9c59-0a4f6f1d2b3c"


def rendered(**fields: object) -> bytes:
    signal = parse(json.dumps(submission(**fields)).encode())
    kind = signal_type(signal.content.confidence)
    return render(signal, wire_id=WIRE_ID, kind=kind, server_timestamp=1767225600.123456)


@pytest.mark.parametrize(
    ("confidence", "kind", "feed"),
    [
        (84.999, SignalType.STANDARD, Feed.STANDARD),
        (85, SignalType.PREMIUM, Feed.ALL),
        (100, SignalType.PREMIUM, Feed.ALL),
        (0, SignalType.STANDARD, Feed.STANDARD),
    ],
)
def test_a_signal_is_premium_from_a_confidence_of_85(confidence: float, kind: SignalType, feed: Feed):
    assert signal_type(confidence) is kind
    assert smallest_feed(kind) is feed


def test_fields_that_every_signal_has_are_null_when_empty_and_the_others_left_out():
    body = orjson.loads(rendered(target_price=None, stop_price=None))
    assert list(body) == [
        "id",
        "symbol",
        "action",
        "entry_price",
        "stop_loss",
        "take_profit",
        "confidence",
        "type",
        "timestamp",
        "hash",
        "reasoning",
        "server_timestamp",
    ]
    assert (body["stop_loss"], body["take_profit"], body["reasoning"]) == (None, None, None)
    assert (body["id"], body["server_timestamp"]) == (WIRE_ID, 1767225600.123456)


def test_what_the_producer_sent_is_passed_on():
    sent = {
        "strategy": "momentum",
        "asset_type": "crypto",
        "data_source": "desk",
        "regime": "bull",
        "consensus_agreement": 0.8,
        "sources_count": 0,
        "valid_until": "2026-06-01T00:00:00Z",
        "reasoning": "Übernahme 🚀",
    }
    body = orjson.loads(rendered(**sent))
    assert {name: body[name] for name in sent} == sent


def test_the_producers_own_id_is_not_passed_on():
    assert b"my-secret-name" not in rendered(signal_id="my-secret-name")


prices = st.floats(min_value=5e-324, allow_infinity=False, exclude_min=False)


@settings(max_examples=200, deadline=None)
@given(
    entry_price=prices,
    target_price=st.none() | prices,
    confidence=st.floats(0, 100),
    reasoning=st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    sources_count=st.none() | st.integers(0, 1_000_000),
)
def test_a_body_survives_being_read_and_written_and_is_a_signal(**fields: object):
    body = rendered(**fields)
    assert orjson.dumps(orjson.loads(body)) == body
    signal = Signal.model_validate_json(body)
    assert signal.entry_price == fields["entry_price"]
    assert signal.reasoning == fields["reasoning"]
