"""A replica asks itself whether what is published to its queue reaches it.

A consumer can be dead while its connection, and even a `ping` over it, are well. So each replica publishes to its own queue,
mandatory, over a second connection. Two answers mean a dead consumer: the message comes back, or nothing arrives.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aio_pika import Message
from aio_pika.exceptions import DeliveryError

from tiercast_shared.messaging.broker import BROKER_ERRORS, connected

PROBE = "probe"
PROBE_SECONDS = 1.0


class ProbeReturned(Exception):
    """There is no such queue any more."""


async def probe(url: str, queue: str, *, name: str, on_sent: Callable[[], None] = lambda: None) -> None:
    """Publish a probe to `queue` every second until cancelled; a lost connection is made anew.

    Raises:
        ProbeReturned: the broker returned the probe.
    """
    while True:
        with suppress(*BROKER_ERRORS):
            async with connected(url, name=name) as connection:
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                while True:
                    try:
                        await channel.default_exchange.publish(Message(b"", type=PROBE), queue, mandatory=True)
                    except DeliveryError as error:
                        raise ProbeReturned(queue) from error
                    on_sent()
                    await asyncio.sleep(PROBE_SECONDS)
        await asyncio.sleep(PROBE_SECONDS)
