"""What a queue bound to an event exchange receives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tiercast_shared.contracts.base import Beacon
from tiercast_shared.messaging.topology import SIGNALS_EVENTS, declare_events


class EventReceiver:
    """Everything that was published since it was opened, in order."""

    def __init__(self) -> None:
        self.signals: list[AbstractIncomingMessage] = []
        self.beacons: list[Beacon] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, exchange: str = SIGNALS_EVENTS) -> AsyncIterator[Self]:
        """Bind a queue, and listen until the block ends; a lost connection is made again, for the queue survives."""
        receiver = cls()
        async with await aio_pika.connect_robust(url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(durable=True, auto_delete=False)
            await queue.bind(await declare_events(channel, exchange))
            await queue.consume(receiver._take, no_ack=True)
            yield receiver

    @property
    def seqs(self) -> list[int]:
        """Positions, as they came."""
        return [int(str(message.headers["seq"])) for message in self.signals]

    def assert_harmless_repeats(self) -> None:
        """Whatever came more than once had the same body."""
        bodies: dict[int, bytes] = {}
        for seq, message in zip(self.seqs, self.signals, strict=True):
            assert bodies.setdefault(seq, message.body) == message.body, f"seq {seq} came with two bodies"

    async def _take(self, message: AbstractIncomingMessage) -> None:
        if message.headers["type"] == "beacon":
            self.beacons.append(Beacon.model_validate_json(message.body))
        else:
            self.signals.append(message)
