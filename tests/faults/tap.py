"""Listens to an event exchange beside the gateways, and remembers all that was published."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import aio_pika
from aio_pika.abc import AbstractIncomingMessage


@dataclass(frozen=True, slots=True)
class Published:
    """One message that went through the exchange."""

    at: float
    type: str
    epoch: str
    seq: int
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Tap:
    """What was published since it was opened, in order."""

    def __init__(self) -> None:
        self.published: list[Published] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, exchange: str) -> AsyncIterator["Tap"]:
        """Listen while the block runs. The broker must live as long."""
        tap = cls()
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=1000)
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(exchange)
            await queue.consume(tap._take, no_ack=True)
            yield tap

    async def _take(self, message: AbstractIncomingMessage) -> None:
        headers = dict(message.headers)
        seq, epoch = headers.get("seq", 0), headers.get("epoch", "")
        self.published.append(
            Published(
                time.monotonic(),
                str(message.type or headers.get("type")),
                str(epoch),
                seq if isinstance(seq, int) else 0,
                message.body,
            )
        )

    def signals(self) -> list[Published]:
        """The signals among them."""
        return [each for each in self.published if each.type == "signal.published"]

    def differing(self) -> list[str]:
        """Positions that were published with more than one body."""
        bodies: dict[tuple[str, int], str] = {}
        return [
            f"{each.epoch} {each.seq}: {each.digest} and {first}"
            for each in self.signals()
            if (first := bodies.setdefault((each.epoch, each.seq), each.digest)) != each.digest
        ]

    def repeated(self) -> int:
        """Messages beyond the first of their position."""
        places = [(each.epoch, each.seq) for each in self.signals()]
        return len(places) - len(set(places))

    def longest_silence(self, since: float, until: float) -> float:
        """The longest time without a signal between two moments, seconds."""
        moments = [since, *(each.at for each in self.signals() if since < each.at < until), until]
        return max(later - earlier for earlier, later in pairwise(moments))

    async def heard(self, seq: int, within: float = 10) -> None:
        """Wait until position `seq` was published."""
        async with asyncio.timeout(within):
            while not any(each.seq >= seq for each in reversed(self.signals())):  # noqa: ASYNC110 - rare
                await asyncio.sleep(0.05)
