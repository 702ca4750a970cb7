"""Looks at what was put aside."""

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.support.dead_letters import DEAD


async def dead_letters(url: str) -> list[AbstractIncomingMessage]:
    """All dead letters; they stay where they are."""
    found: list[AbstractIncomingMessage] = []
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(DEAD)
        while (letter := await queue.get(fail=False)) is not None:
            found.append(letter)  # unacknowledged: they go back when the connection closes
    return found
