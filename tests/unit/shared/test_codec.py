"""Frames of messages are read and written as pamqp does; what pamqp refuses is refused in its words."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import exceptions
from pamqp import frame as pamqp_frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

import tiercast_shared.messaging.broker  # noqa: F401 - importing it is what makes pamqp lenient, and its floats doubles
from tiercast_shared.messaging import codec

short = st.text(max_size=30)  # pamqp cuts names of more than 128 bytes
moments = st.integers(0, 2**32 - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | moments,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(short, inner, max_size=3),
    max_leaves=8,
)
PROPERTIES: dict[str, st.SearchStrategy[Any]] = {
    "headers": st.dictionaries(short, values, max_size=6),
    "delivery_mode": st.sampled_from([1, 2]),
    "priority": st.integers(0, 9),
    "timestamp": moments,
}
STRINGS = "content_type content_encoding correlation_id reply_to expiration message_id message_type user_id app_id"
PROPERTIES |= dict.fromkeys(STRINGS.split(), short)
properties = st.fixed_dictionaries({}, optional=PROPERTIES).map(lambda given: Basic.Properties(**given))
channels = st.integers(0, 2**16 - 1)
sizes = st.integers(0, 2**63)
deliveries = st.builds(
    Basic.Deliver,
    consumer_tag=short,
    delivery_tag=st.integers(0, 2**63 - 1),
    redelivered=st.booleans(),
    exchange=st.text("abc.-_:", max_size=60),
    routing_key=short,
)
headers = st.builds(lambda size, given: ContentHeader(body_size=size, properties=given), sizes, properties)
frames = st.one_of(
    deliveries,
    headers,
    st.binary(min_size=1, max_size=300).map(ContentBody),
    st.just(Heartbeat()),
    st.just(Basic.Ack(7, multiple=True)),
)


def seen(content: Any) -> Any:
    """What a frame's content is made of."""
    if isinstance(content, ContentHeader):
        return content.class_id, content.weight, content.body_size, dict(content.properties)
    if isinstance(content, ContentBody):
        return content.value
    return dict(content) if isinstance(content, Basic.Deliver | Basic.Ack) else type(content)


def outcome(unmarshal: Any, raw: bytes) -> Any:
    try:
        size, channel, content = unmarshal(raw)
    except Exception as error:  # noqa: BLE001 - both must fail alike, whatever it is
        return type(error)
    return size, channel, type(content), seen(content)


def given_of(some: Basic.Properties) -> dict[str, Any]:
    return {name: value for name, value in some if value is not None and value != ""}


@given(frames, channels)
def test_a_frame_is_read_as_pamqp_reads_it(content: Any, channel: int) -> None:
    raw = pamqp_frame.marshal(content, 0 if isinstance(content, Heartbeat) else channel)
    read = outcome(codec.unmarshal, raw)
    assert read == outcome(pamqp_frame.unmarshal, raw)
    assert isinstance(read, tuple)


@given(st.one_of(deliveries, headers), st.data())
def test_a_damaged_frame_is_read_or_refused_as_by_pamqp(content: Any, data: st.DataObject) -> None:
    raw = bytearray(pamqp_frame.marshal(content, 1))
    at = data.draw(st.integers(7, len(raw) - 2))
    raw[at : at + 1] = data.draw(st.binary(max_size=2))
    whole = bytes(raw[:3]) + (len(raw) - 8).to_bytes(4) + bytes(raw[7:])
    # by their texts, as NaN is not equal to itself
    assert repr(outcome(codec.unmarshal, whole)) == repr(outcome(pamqp_frame.unmarshal, whole))


@given(sizes, properties, channels)
def test_what_is_written_is_read_by_pamqp_as_it_was(
    size: int, given_properties: Basic.Properties, channel: int
) -> None:
    raw = codec.content_header(size, given_properties, channel)
    length, number, header = pamqp_frame.unmarshal(raw)
    assert (length, number, header.body_size) == (len(raw), channel, size)
    assert given_of(header.properties) == given_of(given_properties)


@pytest.mark.parametrize("value", [0, 1, -1, 255, 2**31, 2**63 - 1, -(2**63)])
def test_whole_numbers_keep_one_type_however_large_they_are(value: int) -> None:
    raw = codec.content_header(0, Basic.Properties(headers={"seq": value}), 1)
    assert b"\x03seql" + struct.pack(">q", value) in raw


@pytest.mark.parametrize(
    "wrong", [{"message_id": "x" * 256}, {"headers": {"key": object()}}, {"headers": {"k" * 256: 1}}]
)
def test_what_amqp_cannot_say_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        codec.content_header(0, Basic.Properties(**wrong), 1)


def test_a_frame_without_its_end_is_refused() -> None:
    raw = pamqp_frame.marshal(ContentBody(b"hello"), 1)[:-1] + b"\0"
    with pytest.raises(exceptions.UnmarshalingException):
        codec.unmarshal(raw)
