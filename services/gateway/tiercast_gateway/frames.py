"""Server frames as bytes ready for the wire: an unmasked RFC 6455 text frame around one JSON object."""

import struct

from tiercast_shared.contracts.frames import ServerFrame

FIN_TEXT = 0x81
_SHORT, _MEDIUM, _LONG = struct.Struct(">BB"), struct.Struct(">BBH"), struct.Struct(">BBQ")


def text_frame(payload: bytes) -> bytes:
    """Put `payload` (UTF-8) into one text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return _SHORT.pack(FIN_TEXT, size) + payload
    if size < 65536:
        return _MEDIUM.pack(FIN_TEXT, 126, size) + payload
    return _LONG.pack(FIN_TEXT, 127, size) + payload


def encode(frame: ServerFrame) -> bytes:
    """One frame that is made for one connection; signals go through `signal_frame`."""
    return text_frame(frame.model_dump_json().encode())


def signal_frame(seq: int, cursor: str, data: bytes, *, replay: bool = False) -> bytes:
    """A `new_signal` frame around `data`, the bytes that ingest rendered."""
    return text_frame(signal_json(seq, cursor, data, replay=replay))


def signal_json(seq: int, cursor: str, data: bytes, *, replay: bool = False) -> bytes:
    """The JSON of a `new_signal`."""
    mark = b',"replay":true' if replay else b""
    return b'{"type":"new_signal","seq":%d,"cursor":"%s"%s,"data":%s}' % (seq, cursor.encode(), mark, data)
