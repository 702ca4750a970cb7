"""What ingest has put aside."""

import asyncio

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

DEAD = "signals.dead"


async def take_dead_letter(url: str, message_id: str, within: float) -> AbstractIncomingMessage:
    """Wait for the dead letter with this message id and acknowledge it; others go back to the queue."""
    async with asyncio.timeout(within), await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(DEAD)
        async with queue.iterator() as messages:
            async for message in messages:
                if message.message_id == message_id:
                    await message.ack()
                    return message
    raise AssertionError(f"no dead letter {message_id} within {within} s")
