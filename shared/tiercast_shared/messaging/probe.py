"""A replica asks itself whether what is published to its queue reaches it.

A consumer can be dead while its connection, and even a `ping` over it, are well. So each replica publishes to its own queue,
mandatory, over a second connection. Two answers mean a dead consumer: the message comes back, or nothing arrives.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aio_pika.exceptions import DeliveryError
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from tiercast_shared.messaging.broker import BROKER_ERRORS, connected
from tiercast_shared.messaging.patience import CHECK_SECONDS, is_blocked
from tiercast_shared.messaging.topology import GATEWAY_PROBES, declare_probes

PROBE = "probe"
PROBE_SECONDS = 1.0


class ProbeReturned(Exception):
    """No queue of that name is bound any more."""


async def probe(url: str, queue: str, *, name: str, on_blocked: Callable[[], None] = lambda: None) -> None:
    """Publish a probe to `queue`, bound to the exchange of probes by its name, every second; a lost connection is made anew.

    While the broker blocks whoever publishes (its memory or disk is full) no probe goes out, and none can come back: `on_blocked`
    is told twice a second that this says nothing about the consumer.

    Raises:
        ProbeReturned: the broker returned the probe.
    """
    while True:
        with suppress(*BROKER_ERRORS):
            async with connected(url, name=name) as connection:
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                await declare_probes(channel)
                underlay = await channel.get_underlay_channel()
                while True:
                    await _ask(underlay, queue, on_blocked)
                    await asyncio.sleep(PROBE_SECONDS)
        await asyncio.sleep(PROBE_SECONDS)


async def _ask(channel: AbstractChannel, queue: str, on_blocked: Callable[[], None]) -> None:
    properties = Basic.Properties(message_type=PROBE)
    asking = asyncio.ensure_future(
        channel.basic_publish(b"", exchange=GATEWAY_PROBES, routing_key=queue, properties=properties, mandatory=True)
    )
    try:
        while not asking.done():
            await asyncio.wait({asking}, timeout=CHECK_SECONDS)
            if not asking.done() and await is_blocked(channel.connection):
                on_blocked()
        await asking
    except DeliveryError as error:
        raise ProbeReturned(queue) from error
    finally:
        asking.cancel()
