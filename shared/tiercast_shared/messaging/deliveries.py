"""Messages of a queue, each handled in the very step in which its last frame is read.

aiormq gives every frame to a task of the channel, and every message to a task of its own: two turns of the event loop, which cost
more than what is done with a signal. So frames of deliveries are taken where aiormq queues them for the channel's task.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader


class Message(NamedTuple):
    """A message as it was delivered."""

    tag: int
    """What acknowledges it on its channel."""
    exchange: str
    properties: Basic.Properties
    body: bytes
    received_at: float
    """When its last frame was read, Unix seconds."""


Handler = Callable[[Message], None]
"""May not wait."""

Frame = tuple[int, Any]
"""Size and content, as aiormq queues it."""


class Deliveries:
    """Puts the messages of a channel together. All other frames are passed on.

    After `turn` messages others have their turn, if it is not 0: what has arrived is read without ever waiting for anything.
    """

    def __init__(self, handle: Handler, pass_on: Callable[[Frame], Awaitable[None]], *, turn: int = 0) -> None:
        self._handle = handle
        self._pass_on = pass_on
        self._turn = self._left_of_turn = turn
        self._delivery: Basic.Deliver | None = None
        self._properties = Basic.Properties()
        self._parts: list[bytes] = []
        self._missing = 0

    async def put(self, item: Frame) -> None:
        """The next frame of the channel; those of one message follow each other (AMQP 0-9-1, 4.2.6)."""
        content = item[1]
        if isinstance(content, Basic.Deliver):
            self._delivery = content
        elif self._delivery is not None and isinstance(content, ContentHeader):
            self._properties, self._missing = content.properties, content.body_size or 0
            self._end_if_whole(self._delivery)
        elif self._delivery is not None and isinstance(content, ContentBody):
            self._parts.append(content.value)
            self._missing -= len(content.value)
            self._end_if_whole(self._delivery)
        else:
            await self._pass_on(item)
        if self._turn and not self._left_of_turn:
            self._left_of_turn = self._turn
            await asyncio.sleep(0)

    def _end_if_whole(self, delivery: Basic.Deliver) -> None:
        if self._missing > 0:
            return
        body = b"".join(self._parts)
        self._delivery, self._parts = None, []
        self._left_of_turn -= 1
        try:
            self._handle(Message(delivery.delivery_tag or 0, delivery.exchange, self._properties, body, time.time()))
        except Exception as error:  # noqa: BLE001 - a bug of ours is told, and must not end the connection
            problem = {"message": "a message could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(problem)


async def consume(channel: AbstractChannel, queue: str, handle: Handler, *, no_ack: bool, turn: int = 0) -> str:
    """Have `handle` called with each message of `queue`, in order, and return what cancels that. What it raises is logged.

    With `no_ack` the broker takes a message as acknowledged when it has sent it. For `turn` see `Deliveries`. The channel may have
    no other consumer.
    """
    channel.frames.put = Deliveries(handle, channel.frames.put, turn=turn).put  # type: ignore[method-assign]
    answer = await channel.basic_consume(queue, _unreached, no_ack=no_ack)
    assert answer.consumer_tag is not None, "a consumer has a tag"
    return answer.consumer_tag


async def _unreached(message: DeliveredMessage) -> None:
    raise AssertionError(message)
