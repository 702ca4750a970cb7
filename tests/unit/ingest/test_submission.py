"""What a submission may hold, and what it is answered when it does not."""

import json
from hashlib import sha256

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.producers import submission
from tiercast_ingest.domain.reasons import REASONS
from tiercast_ingest.domain.submission import MAX_BODY, SubmittedSignal, parse
from tiercast_shared.errors import Rejected


def refusal(body: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(body)
    return caught.value


def refused_fields(**fields: object) -> dict[str, str]:
    error = refusal(json.dumps(submission() | fields).encode())
    assert (error.status, error.code) == (422, "invalid_field")
    return {field.field: field.message for field in error.fields}


def test_a_submission_is_normalised():
    sent = submission(
        symbol="btc/usd",
        confidence=87,
        timestamp="2026-03-01T10:00:00.25+02:00",
        valid_until="2026-03-02",
        sources_count=3,
        reasoning="",
        sha256=None,
    )
    sent["sha256"] = str(submission(**sent)["sha256"]).upper()
    signal = parse(json.dumps(sent).encode())
    content = signal.content
    assert (content.symbol, content.confidence, content.sources_count) == ("BTC/USD", 87.0, 3)
    assert content.timestamp == "2026-03-01T08:00:00.250000Z"
    assert content.valid_until == "2026-03-02T00:00:00Z"
    assert content.reasoning == ""
    assert content.strategy is None
    assert signal.hash == sha256(signal.hashed_text.encode()).hexdigest()


def test_every_wrong_field_is_named_at_once():
    error = refusal(b"{}")
    named = [field.field for field in error.fields]
    assert named == ["signal_id", "symbol", "action", "entry_price", "confidence", "timestamp", "sha256"]
    assert all(field.message == "is required" for field in error.fields)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("signal_id", "", "must have 1 to 200 characters, has 0"),
        ("signal_id", "x" * 201, "must have 1 to 200 characters, has 201"),
        ("signal_id", 7, "must be text"),
        ("signal_id", "a\0b", "contains U+0000"),
        ("signal_id", "\ud800", "contains half of a surrogate pair"),
        ("symbol", " AAPL", "may hold only letters, digits and . / - _ : ^ ="),
        ("symbol", "AÄPL", "may hold only letters, digits and . / - _ : ^ ="),
        ("symbol", "A" * 21, "must have 1 to 20 characters, has 21"),
        ("action", "buy", "must be BUY or SELL"),
        ("action", {}, "must be text"),
        ("entry_price", 0, "must be greater than 0"),
        ("entry_price", -1.5, "must be greater than 0"),
        ("entry_price", "175", "must be a number"),
        ("entry_price", True, "must be a number"),
        ("entry_price", None, "is required"),
        ("target_price", [1], "must be a number"),
        ("stop_price", 0.0, "must be greater than 0"),
        ("confidence", 100.01, "must be between 0 and 100"),
        ("confidence", -0.01, "must be between 0 and 100"),
        ("timestamp", "yesterday", '"yesterday" is not an ISO 8601 date and time'),
        ("timestamp", "2026-13-01T00:00:00Z", '"2026-13-01T00:00:00Z" is not an ISO 8601 date and time'),
        ("timestamp", "0001-01-01T00:00:00+14:00", '"0001-01-01T00:00:00+14:00" is not an ISO 8601 date and time'),
        ("timestamp", 1767225600, "must be text"),
        ("strategy", "", "must have 1 to 100 characters, has 0"),
        ("reasoning", "r" * 10_001, "must have 0 to 10000 characters, has 10001"),
        ("regime", "\0", "contains U+0000"),
        ("consensus_agreement", "high", "must be a number"),
        ("sources_count", 2.5, "must be an integer between 0 and 1000000"),
        ("sources_count", -1, "must be an integer between 0 and 1000000"),
        ("valid_until", "soon", '"soon" is not an ISO 8601 date and time'),
        ("sha256", "abc", "must be 64 hexadecimal digits"),
    ],
)
def test_a_wrong_field_is_named_with_its_reason(field: str, value: object, message: str):
    assert refused_fields(**{field: value}) == {field: message}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1e999", "is too large a number"),
        ("-1e999", "is too large a number"),
        ("9" * 60_000, "has more than 100 characters"),
        ("1." + "0" * 200, "has more than 100 characters"),
    ],
)
def test_a_number_that_no_float_holds_is_refused(text: str, message: str):
    body = json.dumps(submission(entry_price=4711)).replace("4711", text)
    assert [(field.field, field.message) for field in refusal(body.encode()).fields] == [("entry_price", message)]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"", "body", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"signal_id": ', "body", "not JSON: Expecting value: line 1 column 15 (char 14)"),
        (b"\xff{}", "body", "not UTF-8 at byte 0"),
        (b"[" * 60_000, "body", "nested too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "body", "nested too deeply"),
        (b"[]", "body", "must be a JSON object"),
        (b"null", "body", "must be a JSON object"),
        (b"7", "body", "must be a JSON object"),
        (b"NaN", "body", "NaN is not JSON"),
        (b'{"confidence": NaN}', "confidence", "NaN is not JSON"),
        (b'{"entry_price": -Infinity}', "entry_price", "-Infinity is not JSON"),
        (b'{"symbol": "A", "symbol": "B"}', "symbol", "is given twice"),
        (b'{"unknown": {"a": 1, "a": 1}}', "a", "is given twice"),
        (b'{"unknown": {"a": NaN}}', "a", "NaN is not JSON"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, field: str, message: str):
    error = refusal(body)
    assert (error.status, error.code) == (422, "invalid_json")
    assert [(wrong.field, wrong.message) for wrong in error.fields] == [(field, message)]


def test_a_body_above_the_limit_is_too_large():
    error = refusal(b" " * (MAX_BODY + 1))
    assert (error.status, error.code) == (413, "too_large")


def test_unknown_fields_are_ignored():
    sent = submission()
    assert parse(json.dumps(sent | {"unheard_of": {"deep": [1, None, True]}}).encode()) == parse(
        json.dumps(sent).encode()
    )


@pytest.mark.parametrize(
    ("name", "alias"),
    [("target_price", "take_profit"), ("stop_price", "stop_loss"), ("sha256", "verification_hash")],
)
def test_a_field_has_its_other_name(name: str, alias: str):
    sent = submission()
    under_alias = {alias if field == name else field: value for field, value in sent.items()}
    both = sent | {alias: sent[name]}
    assert parse(json.dumps(under_alias).encode()) == parse(json.dumps(sent).encode())
    assert parse(json.dumps(both).encode()) == parse(json.dumps(sent).encode())


@pytest.mark.parametrize(
    ("name", "alias", "value"),
    [
        ("target_price", "take_profit", 1.5),
        ("stop_price", "stop_loss", "160"),
        ("sha256", "verification_hash", "0" * 64),
    ],
)
def test_two_names_of_a_field_must_not_differ(name: str, alias: str, value: object):
    assert refused_fields(**{alias: value}) == {alias: f"differs from {name}, which is another name for it"}


def test_contents_that_mean_the_same_have_one_fingerprint():
    written = submission(confidence=87, timestamp="2026-03-01T12:00:00+02:00", symbol="aapl")
    otherwise = submission(
        **{name: value for name, value in written.items() if name != "sha256"}
        | {
            "confidence": 87.0,
            "timestamp": "2026-03-01T10:00:00Z",
            "symbol": "AAPL",
            "strategy": "weighted_consensus_v6",
            "asset_type": "stock",
            "data_source": "weighted_consensus",
        }
    )
    assert written["sha256"] != otherwise["sha256"]
    assert fingerprint(written) == fingerprint(otherwise)


@pytest.mark.parametrize(
    "change",
    [
        {"entry_price": 1.5},
        {"confidence": 70.5},
        {"reasoning": "another"},
        {"action": "SELL"},
        {"strategy": "other"},
        {"asset_type": "crypto"},
        {"valid_until": "2027-01-01"},
        {"sources_count": 4},
    ],
)
def test_contents_that_differ_have_different_fingerprints(change: dict[str, object]):
    sent = submission()
    plain = {name: value for name, value in sent.items() if name != "sha256"}
    assert fingerprint(submission(**plain | change)) != fingerprint(sent)


def fingerprint(sent: dict[str, object]) -> bytes:
    return parse(json.dumps(sent).encode()).content.fingerprint()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
changed_submissions = st.dictionaries(st.sampled_from(list(submission())), json_values, max_size=4).map(
    lambda changes: json.dumps(submission() | changes).encode()
)


raw_values = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e999", "-0", "1e-999", "9" * 5000, "0." + "0" * 5000 + "1", "1E+400", "-" + "9" * 400),
        *(r'"\u0000"', r'"\ud800"', r'"\udc00\ud800"', r'"\uffff"', '"\x7f"', '"\U0010ffff"', '"' + "x" * 70_000 + '"'),
        *(
            "[" * 500 + "]" * 500,
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"a":1,"a":NaN}',
            '{"":{"":NaN}}',
            "null",
            "tru",
            '"',
        ),
    ]
)
"""JSON, or nearly, as no serialiser writes it."""


def written(changes: dict[str, str]) -> bytes:
    """A submission some of whose values are replaced by raw text."""
    fields = {name: json.dumps(value) for name, value in submission().items()} | changes
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}").encode()


raw_submissions = st.dictionaries(st.sampled_from([*submission(), "other"]), raw_values, max_size=3).map(written)


@settings(max_examples=400, deadline=None)
@given(raw_submissions)
def test_numbers_texts_and_depths_beyond_all_bounds_are_refused_or_stored_as_they_can_be(body: bytes):
    outcome = parsed(body)
    if isinstance(outcome, Rejected):
        assert outcome.code in REASONS
        outcome.message.encode()
    else:
        assert len(outcome.hashed_text.encode()) <= MAX_BODY
        signal = json.dumps(outcome.content._asdict(), allow_nan=False, ensure_ascii=False).encode()
        assert rb"\u0000" not in signal


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()) | changed_submissions)
@example(b'{"signal_id":"\\ud800"}')
@example(b"\xef\xbb\xbf{}")
def test_any_bytes_become_a_submission_or_a_refusal_with_a_known_reason(body: bytes):
    outcome = parsed(body)
    if isinstance(outcome, Rejected):
        assert outcome.status in {400, 413, 422}
        assert outcome.code in REASONS
        assert outcome.code == "too_large" or outcome.fields
        outcome.message.encode()  # an answer and a log line can hold it
    else:
        assert isinstance(outcome, SubmittedSignal)


def parsed(body: bytes) -> SubmittedSignal | Rejected:
    try:
        return parse(body)
    except Rejected as refused:
        return refused
