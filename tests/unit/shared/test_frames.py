"""Frames are read as aiormq reads them: whole ones, one after the other, and none from a connection that is gone."""

import asyncio

import pytest
from aiormq import connection
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError, ProtocolSyntaxError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

import tiercast_shared.messaging.broker  # noqa: F401 - importing it is what installs the receiver
from tiercast_shared.messaging.frames import Receiver

SENT = [
    (3, Basic.Ack(delivery_tag=7, multiple=True)),
    (3, ContentHeader(body_size=5, properties=Basic.Properties(message_id="m"))),
    (3, ContentBody(b"hello")),
    (0, Heartbeat()),
    (4, ContentBody(b"x" * 100_000)),
]


def receiver_of(data: bytes, *, end: bool = True) -> tuple[Receiver, asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    if end:
        reader.feed_eof()
    return Receiver(reader), reader


def test_aiormq_uses_it() -> None:
    assert connection.FrameReceiver is Receiver


async def test_frames_come_one_after_the_other_and_then_the_end() -> None:
    data = b"".join(marshal(frame, channel) for channel, frame in SENT)
    receiver, _ = receiver_of(data)
    received = [(size, channel, frame) async for size, channel, frame in receiver]
    assert [(channel, type(frame)) for _, channel, frame in received] == [(c, type(frame)) for c, frame in SENT]
    assert sum(size for size, _, _ in received) == len(data)
    assert (received[0][2].delivery_tag, received[1][2].properties.message_id) == (7, "m")
    assert (received[2][2].value, received[4][2].value) == (b"hello", b"x" * 100_000)


async def test_a_frame_may_come_in_any_pieces() -> None:
    data = marshal(ContentBody(b"hello"), 3)
    receiver, reader = receiver_of(b"", end=False)
    reading = asyncio.ensure_future(receiver.get_frame())
    for byte in data:
        await asyncio.sleep(0)
        assert not reading.done()
        reader.feed_data(bytes([byte]))
    assert (await reading)[2].value == b"hello"


@pytest.mark.parametrize("length", range(1, 13))
async def test_half_a_frame_is_a_lost_connection(length: int) -> None:
    receiver, _ = receiver_of(marshal(ContentBody(b"hello"), 3)[:length])
    with pytest.raises(AMQPConnectionError):
        await receiver.get_frame()


async def test_what_does_not_end_as_a_frame_does_is_refused() -> None:
    receiver, _ = receiver_of(marshal(ContentBody(b"hello"), 3)[:-1] + b"\0")
    with pytest.raises(InvalidFrameError):
        await receiver.get_frame()


async def test_another_version_of_the_protocol_is_refused() -> None:
    receiver, _ = receiver_of(b"AMQP\0\1\0\0")
    with pytest.raises(ProtocolSyntaxError):
        await receiver.get_frame()


async def test_a_connection_that_is_reset_is_a_lost_connection() -> None:
    receiver, reader = receiver_of(b"\1", end=False)
    reader.set_exception(ConnectionResetError())
    with pytest.raises(AMQPConnectionError):
        await receiver.get_frame()
