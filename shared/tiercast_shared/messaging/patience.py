"""Waits for confirms from a broker that may block whoever publishes, because its memory or disk is full.

A blocked broker reads nothing more from the connection, but what was written is in its buffers, and it will read that when the
alarm is over. To give up and publish once more on another connection would only pile up copies. So while it blocks, time stands
still.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiormq.abc import AbstractChannel, AbstractConnection

CHECK_SECONDS = 0.5

Confirmed = TypeVar("Confirmed")


async def is_blocked(connection: AbstractConnection) -> bool:
    """Whether the broker has told that it blocks this connection."""
    try:
        async with asyncio.timeout(0):
            await connection.ready()
    except TimeoutError:
        return True
    return False


async def unblocked(channel: AbstractChannel) -> None:
    """Wait until the broker reads what is published.

    Raises:
        ConnectionError: the channel was closed meanwhile.
    """
    while await is_blocked(channel.connection):
        if channel.is_closed:
            raise ConnectionError("the connection was lost while the broker blocked it")
        await asyncio.sleep(CHECK_SECONDS)


async def confirmed(channel: AbstractChannel, confirm: Awaitable[Confirmed], timeout: float) -> Confirmed:  # noqa: ASYNC109 - of its own kind
    """Wait for a confirm, at most `timeout` seconds in which the broker did not block.

    Raises:
        TimeoutError: nothing came; it may still be delivered.
        Exception: what the confirm says.
    """
    waiting = asyncio.ensure_future(confirm)
    silent = 0.0
    try:
        while silent < timeout:
            await asyncio.wait({waiting}, timeout=CHECK_SECONDS)
            if waiting.done():
                return waiting.result()
            silent = 0.0 if await is_blocked(channel.connection) else silent + CHECK_SECONDS
        raise TimeoutError(f"no confirm for {timeout:.0f} s")
    finally:
        waiting.cancel()
