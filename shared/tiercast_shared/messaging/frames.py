"""Reads AMQP frames off a connection with less around it.

aiormq takes a lock, opens a buffer and reads three times for each of the three frames of a message: more work than decoding them.
A connection has one reader, so no lock is needed; all that has arrived is taken at once and cut into frames here.
"""

from typing import Any

from aiormq import connection
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError, ProtocolSyntaxError
from pamqp.exceptions import PAMQPException

from tiercast_shared.messaging import codec

HEAD = 7
"""Type (1 byte), channel (2), length (4); after as many bytes of payload comes one that ends the frame."""

CHUNK = 64 * 1024
"""Bytes taken at once, at most."""


class Receiver(connection.FrameReceiver):
    """A receiver with what it has taken and not yet cut into frames: `unread`, from `at` on."""

    unread = b""
    at = 0

    def next_frame(self) -> bytes | None:
        """The next frame; None if it is not whole yet.

        Raises:
            ProtocolSyntaxError: the server speaks another version of the protocol, and has said which.
        """
        start = self.at
        head = self.unread[start : start + HEAD]
        if len(head) < HEAD:
            return None
        if head.startswith(b"AMQP"):
            raise ProtocolSyntaxError("Unexpected AMQP protocol header")
        end = start + HEAD + int.from_bytes(head[3:]) + 1
        if len(self.unread) < end:
            return None
        self.at = end
        return self.unread[start:end]

    async def take_more(self) -> None:
        """Wait for more bytes, and forget those that have been cut into frames.

        Raises:
            AMQPConnectionError: the connection is gone.
        """
        try:
            more = await self.reader.read(CHUNK)
        except OSError as error:
            raise AMQPConnectionError(f"Server connection lost: {error!r}") from error
        self.unread, self.at = self.unread[self.at :] + more, 0
        if not more:
            raise AMQPConnectionError(f"Server connection unexpectedly closed, {len(self.unread)} bytes into a frame")

    async def get_frame(self) -> tuple[int, int, Any]:
        """Size, channel and content of the next frame, as aiormq's own method gives them.

        Raises:
            AMQPConnectionError: the connection is gone, or what came is no frame.
        """
        while (frame := self.next_frame()) is None:
            if self.at == len(self.unread) and self.reader.at_eof():
                raise StopAsyncIteration
            await self.take_more()
        try:
            return codec.unmarshal(frame)
        except PAMQPException as error:
            raise InvalidFrameError(str(error)) from error


def install() -> None:
    """Have aiormq use it, in this process."""
    connection.FrameReceiver = Receiver  # type: ignore[misc]
