"""Whatever a publisher writes into the properties of a message, it has a producer or is refused, and can be a dead letter."""

import struct

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pamqp import encode, header
from pamqp.commands import Basic

from tiercast_ingest.dead_letters import dead_properties
from tiercast_ingest.domain.sender import MAX_PRODUCER, producer_of
from tiercast_shared.errors import Rejected
from tiercast_shared.messaging import lenient

lenient.install()

BASIC = 60
SHORT_STRINGS = {15, 14, 10, 9, 8, 7, 5, 4, 3, 2}
HEADERS, DELIVERY_MODE, PRIORITY, TIMESTAMP = 13, 12, 11, 6
"""Bits of the property flags, AMQP 0-9-1, section 4.2.6.1."""

short_strings = st.binary(max_size=255).map(lambda text: bytes([len(text)]) + text)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.binary().map(bytearray) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=6,
)
named = st.fixed_dictionaries({}, optional={"x-producer": values, "x-reason": values, "trace": values})
tables = named.map(encode.field_table) | st.binary(max_size=80).map(lambda raw: struct.pack(">I", len(raw)) + raw)


@st.composite
def wire_properties(draw: st.DrawFn) -> bytes:
    """A content header as it comes from the broker, which checks lengths and nothing in them."""
    kinds = dict.fromkeys(SHORT_STRINGS, short_strings) | {
        HEADERS: tables,
        DELIVERY_MODE: st.binary(min_size=1, max_size=1),
        PRIORITY: st.binary(min_size=1, max_size=1),
        TIMESTAMP: st.binary(min_size=8, max_size=8),
    }
    given_bits = sorted(draw(st.sets(st.sampled_from(sorted(kinds)))), reverse=True)
    flags = sum(1 << bit for bit in given_bits)
    return struct.pack(">HHQH", BASIC, 0, 0, flags) + b"".join(draw(kinds[bit]) for bit in given_bits)


def read(wire: bytes) -> Basic.Properties:
    content = header.ContentHeader()
    content.unmarshal(wire)
    return content.properties


@settings(max_examples=300, deadline=None)
@given(wire_properties(), st.booleans())
@example(struct.pack(">HHQHB", BASIC, 0, 0, 1 << 4, 2) + b"\xff\xfe", True)
def test_any_properties_name_a_producer_or_are_refused_and_go_with_a_dead_letter(wire: bytes, trusted: bool):
    properties = read(wire)
    user = properties.user_id
    producer, error = None, Rejected.field("symbol", "is required")
    try:
        producer = producer_of(user, properties.headers or {}, {user} if trusted and user else set())
    except Rejected as refused:
        error = refused
    if producer is None:
        assert error.code == ("invalid_producer" if user else "no_user_id")
    else:
        assert producer == user or (trusted and 1 <= len(producer) <= MAX_PRODUCER)
    dead = dead_properties(properties, producer, error, "ingest")
    again = read(header.ContentHeader(body_size=0, properties=dead).marshal())
    assert again.headers["x-reason"] == error.code
    assert again.headers.get("x-producer") == producer
