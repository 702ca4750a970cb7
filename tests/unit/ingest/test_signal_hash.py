"""The producer's hash, with vectors made by Python's own json and by JavaScript's rules for numbers."""

import json
from hashlib import sha256

import pytest

from tiercast_ingest.domain.submission import parse
from tiercast_shared.errors import Rejected

HEAD = '"action": "BUY", "confidence": {confidence}, "entry_price": {entry}, "signal_id": {signal_id}, '
TAIL = (
    '"stop_price": {stop}, "strategy": "weighted_consensus_v6", "symbol": {symbol}, "target_price": {target}, '
    '"timestamp": "2026-01-01T00:00:00Z"'
)
TEXT = "{{" + HEAD + TAIL + "}}"


def hashed(**values: str) -> str:
    usual = {
        "confidence": "87.0",
        "entry": "175.5",
        "signal_id": '"s"',
        "stop": "null",
        "symbol": '"AAPL"',
        "target": "null",
    }
    return TEXT.format(**usual | values)


def body(text: str, **fields: str) -> bytes:
    """A submission whose fields are given as JSON text, with the hash of `text`."""
    usual = {
        "signal_id": '"s"',
        "symbol": '"AAPL"',
        "action": '"BUY"',
        "entry_price": "175.5",
        "confidence": "87.0",
        "timestamp": '"2026-01-01T00:00:00Z"',
        "sha256": json.dumps(sha256(text.encode()).hexdigest()),
    }
    return ("{" + ",".join(f'"{name}":{value}' for name, value in (usual | fields).items()) + "}").encode()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param(hashed(), {}, id="as Python writes it"),
        pytest.param(hashed(confidence="87"), {"confidence": "87"}, id="JavaScript: 87"),
        pytest.param(hashed(confidence="87.0"), {"confidence": "87"}, id="Python float, sent by JavaScript"),
        pytest.param(hashed(entry="1e-7"), {"entry_price": "1e-7"}, id="JavaScript: 1e-7"),
        pytest.param(hashed(entry="1e-07"), {"entry_price": "1e-7"}, id="Python's 1e-07, sent as 1e-7"),
        pytest.param(hashed(entry="1e-07"), {"entry_price": "0.0000001"}, id="Python's 1e-07, sent written out"),
        pytest.param(hashed(entry="175"), {"entry_price": "175"}, id="integer"),
        pytest.param(
            hashed(entry="175", target="180.0", stop="160"),
            {"entry_price": "175", "target_price": "180", "stop_price": "160"},
            id="mixed: one as a float, the others as sent",
        ),
        pytest.param(hashed(target="180.5"), {"take_profit": "180.5"}, id="alias under its hashed name"),
        pytest.param(hashed(signal_id='"\\u00fc\\ud83d\\ude80"'), {"signal_id": '"ü🚀"'}, id="non-ASCII escaped"),
        pytest.param(hashed(signal_id='"a\\"\\\\\\n"'), {"signal_id": '"a\\"\\\\\\n"'}, id="JSON escapes"),
        pytest.param(hashed(symbol='"btc-usd"'), {"symbol": '"btc-usd"'}, id="symbol as sent"),
        pytest.param(hashed(symbol='"BTC-USD"'), {"symbol": '"btc-usd"'}, id="symbol in upper case"),
        pytest.param(hashed(), {"target_price": "null", "strategy": "null"}, id="null is absent"),
    ],
)
def test_the_matching_text_is_found_and_kept(text: str, fields: dict[str, str]):
    assert parse(body(text, **fields)).hashed_text == text


def test_the_text_is_what_python_writes():
    fields = {
        "signal_id": "s",
        "symbol": "AAPL",
        "action": "BUY",
        "entry_price": 175.5,
        "target_price": None,
        "stop_price": None,
        "confidence": 87.0,
        "strategy": "weighted_consensus_v6",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    assert json.dumps(fields, sort_keys=True) == hashed()


def test_a_wrong_hash_is_answered_with_the_text_that_was_expected():
    with pytest.raises(Rejected) as caught:
        parse(body("something else", confidence="87"))
    assert (caught.value.status, caught.value.code) == (400, "hash_mismatch")
    assert caught.value.message == f"sha256: is not the SHA-256 of {hashed(confidence='87')}"
    assert [field.field for field in caught.value.fields] == ["sha256"]


def test_a_hash_over_another_price_does_not_match():
    with pytest.raises(Rejected, match="is not the SHA-256"):
        parse(body(hashed(entry="175.6")))


def test_the_answer_to_a_wrong_hash_is_bounded():
    longest = json.dumps("🚀" * 200)
    with pytest.raises(Rejected) as caught:
        parse(body("something else", signal_id=longest, strategy=json.dumps("🚀" * 100), entry_price="1." + "0" * 98))
    assert len(caught.value.message) < 5000
