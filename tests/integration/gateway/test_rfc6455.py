"""RFC 6455 against the production edge, on sockets, by a client that breaks every rule there is."""

import json
from collections.abc import Iterator

import pytest

from tests.integration.gateway.edge_server import EdgeServer
from tests.integration.gateway.raw_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawSocket,
    close_payload,
    frame,
)
from tests.unit.gateway.doubles import token
from tiercast_gateway.listener import MAX_MESSAGE_BYTES

MESSAGE = '{"type":"ping","note":"é€😀"}'.encode()
"""A message with characters of two, three and four bytes; it is answered by a `pong`."""


@pytest.fixture
def client(edge: EdgeServer) -> Iterator[RawSocket]:
    """An open connection that has been told `connected`."""
    with RawSocket(edge.port) as socket:
        socket.upgrade(headers={"Authorization": f"Bearer {token(exp=2_000_000_000, iat=0)}"})
        assert socket.message()["type"] == "connected"
        yield socket


def answers(client: RawSocket, count: int = 1) -> None:
    """The connection is well: `count` messages are answered."""
    assert [client.message()["type"] for _ in range(count)] == ["pong"] * count


def still_well(client: RawSocket) -> None:
    client.say(type="ping")
    answers(client)


def padded(size: int) -> bytes:
    """A message of exactly `size` bytes that is answered by a `pong`."""
    empty = b'{"type":"ping","note":""}'
    return empty[:-2] + b"x" * (size - len(empty)) + empty[-2:]


# -- framing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [25, 125, 126, 127, 128, 1000, 65535, 65536])
def test_messages_of_every_form_of_length_are_taken(client: RawSocket, size: int) -> None:
    client.send(frame(TEXT, padded(size)))

    answers(client)


def test_frames_that_arrive_byte_by_byte_are_taken(client: RawSocket) -> None:
    for byte in frame(TEXT, MESSAGE) + frame(TEXT, padded(300)):
        client.send(bytes([byte]))

    answers(client, 2)


def test_many_frames_in_one_segment_are_all_taken(client: RawSocket) -> None:
    client.send(frame(TEXT, MESSAGE) * 500)

    answers(client, 500)


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, PONG, CLOSE])
def test_reserved_bits_are_a_protocol_error(client: RawSocket, reserved: int, opcode: int) -> None:
    payload = close_payload(1000) if opcode == CLOSE else MESSAGE
    client.send(frame(opcode, payload, reserved=reserved))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize("reserved", range(1, 8))
def test_reserved_bits_on_a_ping_are_a_protocol_error(client: RawSocket, reserved: int) -> None:
    client.send(frame(PING, b"x", reserved=reserved))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_a_protocol_error(client: RawSocket, opcode: int) -> None:
    client.send(frame(opcode, b"x"))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION])
def test_an_unmasked_frame_is_a_protocol_error(client: RawSocket, opcode: int) -> None:
    client.send(frame(opcode, b"", masked=False))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize(("size", "length"), [(0, 2), (125, 2), (125, 8), (126, 8), (65535, 8)])
def test_a_length_in_a_longer_form_than_needed_is_a_protocol_error(client: RawSocket, size: int, length: int) -> None:
    client.send(frame(TEXT, b"x" * size, length=length))

    assert client.closed().close_code == 1002


def test_a_length_with_the_highest_bit_set_is_a_protocol_error(client: RawSocket) -> None:
    client.send(b"\x81\xff" + b"\xff" * 8 + b"mask")

    assert client.closed().close_code == 1002


def test_a_binary_message_is_refused(client: RawSocket) -> None:
    client.send(frame(BINARY, MESSAGE))

    assert client.closed().close_code == 1003


def test_a_binary_message_in_fragments_is_refused(client: RawSocket) -> None:
    client.send(frame(BINARY, MESSAGE[:3], fin=False) + frame(CONTINUATION, MESSAGE[3:]))

    assert client.closed().close_code == 1003


# -- fragments ------------------------------------------------------------------------------------


def test_a_message_split_at_every_byte_is_the_same_message(client: RawSocket) -> None:
    for at in range(len(MESSAGE) + 1):
        client.send(frame(TEXT, MESSAGE[:at], fin=False) + frame(CONTINUATION, MESSAGE[at:]))

    answers(client, len(MESSAGE) + 1)


def test_a_message_of_one_byte_a_fragment_is_the_same_message(client: RawSocket) -> None:
    first, *middle, last = [MESSAGE[at : at + 1] for at in range(len(MESSAGE))]

    client.send(frame(TEXT, first, fin=False))
    for byte in middle:
        client.send(frame(CONTINUATION, byte, fin=False))
    client.send(frame(CONTINUATION, last))

    answers(client)


def test_empty_fragments_count_for_nothing(client: RawSocket) -> None:
    empty = frame(CONTINUATION, fin=False)

    client.send(
        frame(TEXT, fin=False) + empty * 3 + frame(CONTINUATION, MESSAGE, fin=False) + empty + frame(CONTINUATION)
    )

    answers(client)


def test_control_frames_between_fragments_are_answered_at_once(client: RawSocket) -> None:
    client.send(frame(TEXT, MESSAGE[:9], fin=False) + frame(PING, b"one") + frame(PONG, b"unasked"))
    assert client.frame().payload == b"one"
    client.send(frame(CONTINUATION, MESSAGE[9:20], fin=False) + frame(PING, b"two") + frame(CONTINUATION, MESSAGE[20:]))

    assert client.frame().payload == b"two"
    answers(client)


def test_a_close_frame_between_fragments_closes(client: RawSocket) -> None:
    client.send(frame(TEXT, MESSAGE[:9], fin=False) + frame(CLOSE, close_payload(1000)))

    assert client.closed().close_code == 1000


@pytest.mark.parametrize("fin", [True, False])
def test_a_continuation_of_nothing_is_a_protocol_error(client: RawSocket, fin: bool) -> None:
    client.send(frame(CONTINUATION, MESSAGE, fin=fin))

    assert client.closed().close_code == 1002


def test_a_continuation_after_a_whole_message_is_a_protocol_error(client: RawSocket) -> None:
    client.send(frame(TEXT, MESSAGE[:9], fin=False) + frame(CONTINUATION, MESSAGE[9:]))
    answers(client)

    client.send(frame(CONTINUATION, MESSAGE))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize("fin", [True, False])
def test_a_new_message_inside_another_is_a_protocol_error(client: RawSocket, fin: bool) -> None:
    client.send(frame(TEXT, MESSAGE[:9], fin=False) + frame(TEXT, MESSAGE, fin=fin))

    assert client.closed().close_code == 1002


# -- sizes ----------------------------------------------------------------------------------------


def test_a_frame_over_64_kib_is_too_big(client: RawSocket) -> None:
    client.send(frame(TEXT, padded(MAX_MESSAGE_BYTES + 1)))

    assert client.closed().close_code == 1009


def test_a_huge_frame_is_refused_at_its_head(client: RawSocket) -> None:
    client.send(b"\x81\xff" + (2**62).to_bytes(8, "big"))

    assert client.closed().close_code == 1009


@pytest.mark.parametrize("piece", [1000, 30_000, 65_000])
def test_64_kib_over_all_fragments_is_the_limit(client: RawSocket, piece: int) -> None:
    for excess, code in ((0, None), (1, 1009)):
        whole = padded(MAX_MESSAGE_BYTES + excess)
        pieces = [whole[at : at + piece] for at in range(0, len(whole), piece)]
        for number, part in enumerate(pieces):
            fin = number == len(pieces) - 1
            client.send(frame(CONTINUATION if number else TEXT, part, fin=fin))
        if code is None:
            answers(client)
        else:
            assert client.closed().close_code == code


def test_many_messages_of_the_largest_size_follow_each_other(client: RawSocket) -> None:
    for _ in range(20):
        client.send(frame(TEXT, padded(MAX_MESSAGE_BYTES)))

    answers(client, 20)


# -- UTF-8 ----------------------------------------------------------------------------------------

BAD_UTF8 = {
    "lone continuation": b"\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong NUL": b"\xc0\x80",
    "overlong of three": b"\xe0\x80\xaf",
    "overlong of four": b"\xf0\x80\x80\xaf",
    "half a surrogate pair": b"\xed\xa0\x80",
    "a surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "cut short": b"\xe2\x82",
    "the RFC's example": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
}


@pytest.mark.parametrize("bad", BAD_UTF8.values(), ids=BAD_UTF8.keys())
@pytest.mark.parametrize("place", ["alone", "inside", "in fragments", "byte by byte"])
def test_bad_utf8_is_closed_with_1007(client: RawSocket, bad: bytes, place: str) -> None:
    inside = b'{"type":"ping","note":"' + bad + b'"}'
    if place == "alone":
        client.send(frame(TEXT, bad))
    elif place == "inside":
        client.send(frame(TEXT, inside))
    elif place == "in fragments":
        client.send(frame(TEXT, inside[:24], fin=False) + frame(CONTINUATION, inside[24:]))
    else:
        pieces = b"".join(frame(CONTINUATION, bytes([byte]), fin=False) for byte in inside)
        client.send(frame(TEXT, fin=False) + pieces + frame(CONTINUATION))

    assert client.closed().close_code == 1007


@pytest.mark.parametrize("text", ["\x7f", "\u0080", "\u07ff", "\u0800", "\uffff", "\ufffd", "\U00010000", "\U0010ffff"])
def test_every_border_of_utf8_is_taken(client: RawSocket, text: str) -> None:
    client.send(frame(TEXT, json.dumps({"type": "ping", "note": text}, ensure_ascii=False).encode()))

    answers(client)


# -- control frames -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 124, 125])
def test_a_ping_is_answered_with_its_payload(client: RawSocket, size: int) -> None:
    payload = bytes(range(size))

    client.send(frame(PING, payload))

    pong = client.frame()
    assert (pong.first, pong.payload) == (0x80 | PONG, payload)


def test_every_ping_is_answered_in_order(client: RawSocket) -> None:
    client.send(b"".join(frame(PING, b"%d" % number) for number in range(100)))

    assert [client.frame().payload for _ in range(100)] == [b"%d" % number for number in range(100)]


def test_a_pong_that_nobody_asked_for_is_taken(client: RawSocket) -> None:
    client.send(frame(PONG) + frame(PONG, b"x" * 125))

    still_well(client)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_over_125_bytes_is_a_protocol_error(client: RawSocket, opcode: int) -> None:
    client.send(frame(opcode, close_payload(1000) + b"x" * 124))

    assert client.closed().close_code == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_in_fragments_is_a_protocol_error(client: RawSocket, opcode: int) -> None:
    client.send(frame(opcode, fin=False))

    assert client.closed().close_code == 1002


# -- closing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4500, 4999])
def test_a_close_is_answered_with_its_own_code(client: RawSocket, code: int) -> None:
    client.send(frame(CLOSE, close_payload(code, "adieu, é".encode())))

    assert client.closed().close_code == code


def test_a_close_without_a_code_is_answered(client: RawSocket) -> None:
    client.send(frame(CLOSE))

    assert client.closed().close_code in {0, 1000}


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_code_that_may_not_be_sent_is_a_protocol_error(client: RawSocket, code: int) -> None:
    client.send(frame(CLOSE, close_payload(code)))

    assert client.closed().close_code == 1002


def test_half_a_close_code_is_a_protocol_error(client: RawSocket) -> None:
    client.send(frame(CLOSE, b"\x03"))

    assert client.closed().close_code == 1002


def test_a_close_reason_that_is_not_utf8_is_refused(client: RawSocket) -> None:
    client.send(frame(CLOSE, close_payload(1000, b"\xce\xba\xed\xa0\x80")))

    assert client.closed().close_code == 1007


def test_nothing_is_read_behind_a_close(client: RawSocket) -> None:
    client.send(frame(CLOSE, close_payload(1000)) + frame(PING, b"late") + frame(TEXT, MESSAGE) + frame(CLOSE))

    assert client.closed().close_code == 1000


def test_a_client_that_goes_without_a_close_is_forgotten(edge: EdgeServer, client: RawSocket) -> None:
    client.end()

    assert client.rest() == b""


OFFENCES = {
    "reserved bit": frame(TEXT, MESSAGE, reserved=4),
    "reserved opcode": frame(3),
    "unmasked": frame(TEXT, MESSAGE, masked=False),
    "too big": frame(TEXT, padded(MAX_MESSAGE_BYTES + 1)),
    "huge": b"\x81\xff" + (2**40).to_bytes(8, "big"),
    "binary": frame(BINARY, b"x"),
    "bad UTF-8": frame(TEXT, b"\xff"),
    "continuation of nothing": frame(CONTINUATION, b"x"),
    "long ping": frame(PING, b"x" * 126),
    "bad close code": frame(CLOSE, close_payload(1005)),
    "close": frame(CLOSE, close_payload(1000)),
    "bad token": frame(TEXT, b'{"type":"auth","token":"x"}'),
    "three strikes": frame(TEXT, b"nonsense") * 3,
}


@pytest.mark.parametrize("offence", OFFENCES.values(), ids=OFFENCES.keys())
def test_nothing_comes_behind_the_close_frame_while_signals_flow(
    edge: EdgeServer, client: RawSocket, offence: bytes
) -> None:
    edge.publish(3)
    client.send(offence)
    closing = client.close_frame()
    for _ in range(5):
        edge.publish()  # the loop has turned before the next one

    client.answer_close()
    assert closing.close_code != 0


def test_the_reason_of_a_close_is_text_of_at_most_123_bytes(client: RawSocket) -> None:
    client.send(frame(TEXT, json.dumps({"type": "é" * 2000}).encode()) * 3)

    closing = client.closed()

    assert closing.close_code == 4501
    assert 0 < len(closing.payload[2:].decode()) <= 123
