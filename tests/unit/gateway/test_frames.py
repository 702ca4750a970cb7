"""Frames are what RFC 6455 and the contract models say, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.unit.gateway.doubles import signal_data, text_payloads
from tiercast_gateway.frames import encode, signal_frame, text_frame
from tiercast_shared.contracts.frames import (
    Connected,
    ErrorFrame,
    Heartbeat,
    NewSignal,
    ResyncRequired,
    ServerFrame,
    Subscribed,
    TierChangedFrame,
)
from tiercast_shared.contracts.tiers import Tier

SERVER_FRAME: TypeAdapter[object] = TypeAdapter(ServerFrame)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_is_written_in_the_shortest_of_the_three_forms(size: int, head: bytes) -> None:
    payload = b"x" * size

    assert text_frame(payload) == head + payload


@given(payloads=st.lists(st.binary(max_size=300), max_size=10))
def test_joined_frames_can_be_taken_apart_again(payloads: list[bytes]) -> None:
    assert list(text_payloads(b"".join(map(text_frame, payloads)))) == payloads


@pytest.mark.parametrize("replay", [False, True])
def test_a_signal_frame_is_the_contract_model_around_the_rendered_bytes(replay: bool) -> None:
    data = signal_data(7, reasoning='quotes " and \\ and é and \u2028', premium=True)

    (payload,) = text_payloads(signal_frame(3, "a-cursor", data, replay=replay))

    frame = NewSignal.model_validate_json(payload)
    assert (frame.seq, frame.cursor, frame.replay) == (3, "a-cursor", True if replay else None)
    assert frame.data.model_dump(mode="json")["entry_price"] == 7.0
    assert data in payload, "the signal's own bytes are passed on untouched"
    assert ("replay" in json.loads(payload)) is replay, "a live one does not carry the field at all"


@pytest.mark.parametrize(
    "frame",
    [
        Connected(
            message="hé",
            connection_id="c",
            user_tier=Tier.PRO,
            cursor="x",
            recovered=None,
            heartbeat_seconds=25,
            server_timestamp=1.5,
        ),
        Heartbeat(type="pong", server_timestamp=1.5, seq=0),
        TierChangedFrame(user_tier=Tier.PRO, previous_tier=Tier.STARTER, reason="paid", cursor="x"),
        Subscribed(symbols=["*"]),
        ResyncRequired(reason="too_slow", cursor="x"),
        ErrorFrame(code="bad_message", message="m" * 70_000),
    ],
)
def test_what_is_encoded_is_parsed_to_the_same_frame(frame: object) -> None:
    (payload,) = text_payloads(encode(frame))

    assert SERVER_FRAME.validate_json(payload) == frame


def test_connected_says_null_when_there_was_nothing_to_resume() -> None:
    frame = Connected(
        message="",
        connection_id="c",
        user_tier=Tier.PRO,
        cursor="x",
        recovered=None,
        heartbeat_seconds=25,
        server_timestamp=0,
    )
    (payload,) = text_payloads(encode(frame))

    assert json.loads(payload)["recovered"] is None
