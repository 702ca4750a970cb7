"""Properties that no decoder can read."""

from datetime import UTC, datetime

import pytest
from pamqp import encode
from pamqp.commands import Basic
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader

import tiercast_shared.messaging.broker  # noqa: F401 - importing it is what installs the decoders


def decoded(raw: bytes) -> Basic.Properties:
    _, _, frame = unmarshal(raw)
    return frame.properties


def frame_of(**properties: object) -> bytes:
    return marshal(ContentHeader(body_size=0, properties=Basic.Properties(**properties)), 1)


def test_text_that_is_not_utf_8_appears_as_escapes():
    raw = frame_of(message_id="ab").replace(b"\x02ab", b"\x02\xff\xfe")
    assert decoded(raw).message_id == "\\xff\\xfe"


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 10**17])
def test_a_time_that_no_calendar_has_is_none(value: int):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    raw = frame_of(timestamp=now, message_id="m").replace(encode.timestamp(now), value.to_bytes(8))
    assert decoded(raw).timestamp is None
    assert decoded(raw).message_id == "m"


def test_headers_that_cannot_be_read_are_left_out_and_the_rest_stays():
    raw = frame_of(headers={"k": "v"}, message_id="m").replace(b"\x01kS", b"\xffkS")
    assert decoded(raw).headers == {}
    assert decoded(raw).message_id == "m"


def test_what_can_be_read_is_read_as_before():
    headers = {"a": 1, "b": ["x", {"c": True}]}
    properties = decoded(frame_of(headers=headers, message_id="ü", timestamp=datetime(2026, 1, 1, tzinfo=UTC)))
    assert (properties.headers, properties.message_id) == (headers, "ü")
    assert properties.timestamp == datetime(2026, 1, 1, tzinfo=UTC)
