"""Frames of messages, decoded and encoded with less around it than in pamqp.

pamqp looks each property's type up by its name and copies what follows after each: for a signal that comes and goes, a tenth of
what ingest does with it. Here are the same objects and the same bytes (AMQP 0-9-1, 4.2), and whatever is unusual, or wrong, is left
to pamqp.
"""

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import pamqp.frame
from pamqp import decode, encode
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

METHOD, HEADER, BODY, END = 1, 2, 3, 0xCE
"""Types of frames, and the byte that ends each."""

AT_PAYLOAD = 7
DELIVER = Basic.Deliver.index.to_bytes(4)

_frame = struct.Struct(">BHI")
_delivery = struct.Struct(">QB")
_header = struct.Struct(">HHQH")
_long = struct.Struct(">q")
_double = struct.Struct(">d")
_typed_string = struct.Struct(">cI")
_typed_long = struct.Struct(">cq")
_typed_double = struct.Struct(">cd")

CONTINUED = 1
"""The flag that says that more flags follow."""


def unmarshal(frame: bytes) -> tuple[int, int, Any]:
    """Size, channel and content of a whole frame, as `pamqp.frame.unmarshal` gives them.

    Raises:
        PAMQPException: it is no frame.
    """
    kind, channel, _ = _frame.unpack_from(frame)
    if frame[-1] == END:
        try:
            if kind == BODY:
                return len(frame), channel, ContentBody(frame[AT_PAYLOAD:-1])
            if kind == HEADER:
                return len(frame), channel, _decoded_header(frame)
            if kind == METHOD and frame.startswith(DELIVER, AT_PAYLOAD):
                return len(frame), channel, _decoded_delivery(frame)
        except (ValueError, IndexError, struct.error):
            pass  # pamqp knows what to make of it, or what to call it
    return pamqp.frame.unmarshal(frame)


def content_header(size: int, properties: Basic.Properties, channel: int) -> bytes:
    """The frame that comes before `size` bytes of a body.

    Raises:
        TypeError, ValueError: AMQP cannot say one of the properties.
    """
    flags, parts = 0, []
    for name, flag, encoded in ENCODERS:
        value = getattr(properties, name)
        if value is not None and value != "":
            flags |= flag
            parts.append(encoded(value))
    payload = _header.pack(Basic.frame_id, 0, size, flags) + b"".join(parts)
    return _frame.pack(HEADER, channel, len(payload)) + payload + b"\xce"


def _decoded_delivery(frame: bytes) -> Basic.Deliver:
    delivery = Basic.Deliver.__new__(Basic.Deliver)
    delivery.consumer_tag, at = _short_string(frame, AT_PAYLOAD + len(DELIVER))
    delivery.delivery_tag, bits = _delivery.unpack_from(frame, at)
    delivery.redelivered = bool(bits & 1)
    delivery.exchange, at = _short_string(frame, at + _delivery.size)
    delivery.routing_key, at = _short_string(frame, at)
    return delivery if at == len(frame) - 1 else _refuse()


def _decoded_header(frame: bytes) -> ContentHeader:
    class_id, weight, size, flags = _header.unpack_from(frame, AT_PAYLOAD)
    properties, at = Basic.Properties(), AT_PAYLOAD + _header.size
    for name, decoded in _layout(flags):
        value, at = decoded(frame, at)
        setattr(properties, name, value)
    header = ContentHeader(weight, size, properties)
    header.class_id = class_id
    return header if at == len(frame) - 1 else _refuse()


def _short_string(frame: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + frame[at]
    return frame[at + 1 : end].decode(), end


def _timestamp(frame: bytes, at: int) -> tuple[Any, int]:
    size, moment = decode.METHODS["timestamp"](frame[at : at + 8])
    return moment, at + size


def _octet(frame: bytes, at: int) -> tuple[int, int]:
    return frame[at], at + 1


def _table(frame: bytes, at: int) -> tuple[dict[str, Any], int]:
    start = at + 4
    at, end = start, start + int.from_bytes(frame[at:start])
    table: dict[str, Any] = {}
    while at < end:
        name, at = _short_string(frame, at)
        kind = frame[at]
        if kind == b"S"[0]:
            start = at + 5
            at = start + int.from_bytes(frame[at + 1 : start])
            table[name] = frame[start:at].decode()
        elif kind == b"l"[0]:
            table[name] = _long.unpack_from(frame, at + 1)[0]
            at += 9
        elif kind == b"d"[0]:
            table[name] = _double.unpack_from(frame, at + 1)[0]
            at += 9
        else:
            size, table[name] = decode.embedded_value(frame[at:end])
            at += size
    return (table, end) if at == end < len(frame) else _refuse()


def _refuse() -> Any:
    raise ValueError("not as long as it says")


Decoder = Callable[[bytes, int], tuple[Any, int]]
"""Takes a frame and where in it a value begins; returns the value and where it ends."""

DECODERS: dict[str, Decoder] = {
    "shortstr": _short_string,
    "octet": _octet,
    "table": _table,
    "timestamp": _timestamp,
}


@lru_cache(256)
def _layout(flags: int) -> list[tuple[str, Decoder]]:
    """The properties that are there, in their order, and what decodes each."""
    if flags & CONTINUED:
        _refuse()
    names = (name for name in Basic.Properties.attributes() if flags & Basic.Properties.flags[name])
    return [(name, DECODERS[Basic.Properties.amqp_type(name)]) for name in names]


def _encoded_table(table: Mapping[str, Any]) -> bytes:
    """A table; whole numbers take 64 bits each, so that their type does not change as they grow."""
    parts = []
    for name, value in table.items():
        parts.append(_encoded_name(name))
        kind = type(value)
        if kind is str:
            text = value.encode()
            parts.append(_typed_string.pack(b"S", len(text)))
            parts.append(text)
        elif kind is float:
            parts.append(_typed_double.pack(b"d", value))
        elif kind is int and -(2**63) <= value < 2**63:
            parts.append(_typed_long.pack(b"l", value))
        else:
            parts.append(encode.encode_table_value(value))
    encoded = b"".join(parts)
    return len(encoded).to_bytes(4) + encoded


@lru_cache(256)
def _encoded_name(name: str) -> bytes:
    return encode.short_string(name)


def _encoded_short_string(text: str) -> bytes:
    encoded = text.encode()
    return bytes((len(encoded),)) + encoded


def _encoder(name: str) -> tuple[str, int, Callable[[Any], bytes]]:
    ours: dict[str, Callable[[Any], bytes]] = {"shortstr": _encoded_short_string, "table": _encoded_table}
    kind = Basic.Properties.amqp_type(name)
    return name, Basic.Properties.flags[name], ours.get(kind, encode.METHODS[kind])


ENCODERS = [_encoder(name) for name in Basic.Properties.attributes()]
"""Each property's name, flag and encoder, in the order in which they are written."""
