"""What clients say is understood or refused with the field named; the filter narrows, grows and shrinks as told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercast_gateway.inbox import MAX_PROBLEM, MAX_SYMBOLS, BadMessage, added, parse, parse_symbols, removed
from tiercast_shared.contracts.submissions import SignalSubmission


def problem_with(payload: str) -> str | None:
    """How a message is refused; None if it is understood."""
    try:
        parse(payload)
    except BadMessage as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ping"},
        {"type": "pong", "server_timestamp": 3},
        {"type": "auth", "token": "t"},
        {"type": "subscribe", "symbols": ["AAPL"]},
        {"type": "unsubscribe", "symbols": ["*"]},
    ],
)
def test_each_message_of_the_protocol_is_understood(message: dict[str, object]) -> None:
    assert parse(json.dumps(message)).type == message["type"]


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("\x00", "JSON"),
        ("NaN", "JSON"),
        ("{'type':'ping'}", "JSON"),
        ("[" * 5000, "JSON"),
        ("[]", "message"),
        ("7", "message"),
        ('"ping"', "message"),
        ("null", "message"),
        ("{}", "type"),
        ('{"type":null}', "type"),
        ('{"type":"shout"}', "type"),
        ('{"type":["ping"]}', "type"),
        ('{"type":"auth"}', "token"),
        ('{"type":"auth","token":""}', "token"),
        ('{"type":"auth","token":7}', "token"),
        ('{"type":"subscribe"}', "symbols"),
        ('{"type":"subscribe","symbols":[]}', "symbols"),
        ('{"type":"subscribe","symbols":"AAPL"}', "symbols"),
        ('{"type":"subscribe","symbols":[1]}', "symbols.0"),
        ('{"type":"subscribe","symbols":{"AAPL":1}}', "symbols"),
    ],
)
def test_each_wrong_message_is_refused_with_what_is_wrong_named(payload: str, named: str) -> None:
    with pytest.raises(BadMessage, match=named):
        parse(payload)


def test_a_refusal_does_not_send_back_what_it_was_sent() -> None:
    problem = problem_with(json.dumps({"type": "x" * 50_000}))

    assert problem is not None
    assert len(problem) <= MAX_PROBLEM


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused_and_nothing_else(text: str) -> None:
    assert problem_with(text) != ""


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_any_json_is_understood_or_refused_and_nothing_else(value: object) -> None:
    problem = problem_with(json.dumps({"type": "subscribe", "symbols": value}))

    assert problem is None or "symbols" in problem or problem.startswith("not a JSON")


def test_symbols_are_upper_cased_trimmed_and_counted_once() -> None:
    assert parse_symbols(["aapl", " AAPL ", "btc/usd", "BRK.B"]) == {"AAPL", "BTC/USD", "BRK.B"}


def test_a_star_among_names_means_everything() -> None:
    assert parse_symbols(["AAPL", "*"]) is None


@pytest.mark.parametrize("name", ["", " ", "A B", "A" * 21, "AAPL,MSFT", "É", "A\nB", "**", "A\x00", '"', "a" * 50_000])
def test_what_is_no_symbol_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadMessage, match="symbols"):
        parse_symbols(["AAPL", name])


@given(
    st.from_regex(SignalSubmission.model_json_schema()["properties"]["symbol"]["pattern"].strip("^$"), fullmatch=True)
)
def test_every_symbol_that_a_producer_may_send_can_be_subscribed_to(symbol: str) -> None:
    assert parse_symbols([symbol]) == {symbol.upper()}


def test_the_first_subscription_narrows_everything_down_and_later_ones_add() -> None:
    first = added(None, ["AAPL"])
    second = added(first, ["MSFT", "AAPL"])

    assert first == {"AAPL"}
    assert second == {"AAPL", "MSFT"}
    assert added(second, ["*"]) is None


def test_symbols_can_be_taken_away_down_to_none_and_added_again() -> None:
    nothing = removed(frozenset({"AAPL", "MSFT"}), ["AAPL", "MSFT", "TSLA"])

    assert nothing == frozenset()
    assert added(nothing, ["TSLA"]) == {"TSLA"}


def test_taking_everything_away_leaves_nothing() -> None:
    assert removed(None, ["*"]) == frozenset()
    assert removed(frozenset({"AAPL"}), ["*"]) == frozenset()


def test_a_symbol_cannot_be_taken_from_everything() -> None:
    with pytest.raises(BadMessage, match="everything"):
        removed(None, ["AAPL"])


def test_a_filter_is_bounded_in_one_step_and_over_several() -> None:
    names = [f"S{number}" for number in range(MAX_SYMBOLS)]
    full = added(None, names)

    assert added(full, names[:3]) == full
    for present in (None, full):
        with pytest.raises(BadMessage, match=str(MAX_SYMBOLS)):
            added(present, [*names, "ONE.MORE"] if present is None else ["ONE.MORE"])
