"""Duplicates, drops and reorders the messages of an event exchange on their way to the gateways."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from tests.faults.ground import Ground

LONGEST_MEMORY = 5000
BINDING = (
    '{{binding, rabbit_misc:r(<<"{host}">>, exchange, <<"{exchange}">>), <<>>, '
    'rabbit_misc:r(<<"{host}">>, queue, <<"{queue}">>), []}}'
)


class Disorder:
    """Remembers what was published, and publishes it again in any order."""

    def __init__(self, ground: Ground, exchange: str, rng: random.Random) -> None:
        self._ground = ground
        self._name = exchange
        self._rng = rng
        self._exchange: AbstractExchange | None = None
        self._seen: list[AbstractIncomingMessage] = []
        self.repeated = 0
        self.dropped = 0
        """How often a gateway was cut off from the exchange."""

    @classmethod
    @asynccontextmanager
    async def of(cls, ground: Ground, exchange: str, rng: random.Random) -> AsyncIterator["Disorder"]:
        """Listen to `exchange` while the block runs."""
        disorder = cls(ground, exchange, rng)
        async with await aio_pika.connect(ground.stack.amqp_url) as connection:
            channel = await connection.channel()
            disorder._exchange = await channel.get_exchange(exchange)
            queue = await channel.declare_queue(exclusive=True)
            await queue.bind(exchange)
            await queue.consume(disorder._take, no_ack=True)
            yield disorder

    async def _take(self, message: AbstractIncomingMessage) -> None:
        if len(self._seen) < LONGEST_MEMORY and message.headers.get("x-again") is None:
            self._seen.append(message)

    async def repeat(self, count: int) -> None:
        """Publish old messages again, beacons too, in any order."""
        assert self._exchange is not None
        for message in self._rng.sample(self._seen, min(count, len(self._seen))):
            again = aio_pika.Message(
                message.body,
                headers={**message.headers, "x-again": 1},
                type=message.type,
                message_id=message.message_id,
                content_type=message.content_type,
            )
            await self._exchange.publish(again, "", mandatory=False)
            self.repeated += 1

    async def drop(self, seconds: float) -> None:
        """Unbind one gateway's queue for a while: what is published meanwhile never reaches it."""
        queues = [name for name in await self._ground.queues() if name.startswith("gateway.")]
        queue = self._rng.choice(queues)
        binding = BINDING.format(host=self._ground.host.name, exchange=self._name, queue=queue)
        await self._ground.ctl("eval", f'rabbit_binding:remove({binding}, <<"trial">>).')
        self.dropped += 1
        await asyncio.sleep(seconds)
        await self._ground.ctl("eval", f'rabbit_binding:add({binding}, <<"trial">>).')
