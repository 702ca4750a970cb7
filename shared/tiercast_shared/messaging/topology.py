"""The one place where exchange and queue names live, and how each is declared.

Arguments of an existing queue cannot be changed in place: changing one here needs a new queue name.
"""

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue

SIGNALS_INBOUND = "signals.inbound"
"""Exchange (direct), routing key and queue (quorum) that producers publish to."""

SIGNALS_DEAD = "signals.dead"
"""Exchange (direct), routing key and queue (quorum) of messages that can never be stored."""

SIGNALS_EVENTS = "signals.events"
"""Fanout exchange: every signal of the log, in order, and ingest's beacon."""

TIERS_EVENTS = "tiers.events"
"""Fanout exchange: every change of the tiers log, in order, and its beacon."""

GATEWAY_PRESENCE = "gateway.presence"
"""Fanout exchange: what each gateway replica says of its connections."""

GATEWAY_QUEUES = "gateway."
"""What the names of replicas' private queues begin with."""

GATEWAY_PROBES = "gateway.probes"
"""Direct exchange: each replica's probes to its own queue, by the queue's name."""

DELIVERY_LIMIT = 1000
"""Redeliveries before the broker itself dead-letters a message: a backstop that crashing consumers must not reach."""

INBOUND_ARGUMENTS: dict[str, str | int] = {
    "x-queue-type": "quorum",
    "x-dead-letter-exchange": SIGNALS_DEAD,
    "x-dead-letter-routing-key": SIGNALS_DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # at-least-once dead lettering demands it
    "x-delivery-limit": DELIVERY_LIMIT,
}

DEAD_ARGUMENTS: dict[str, str | int] = {
    "x-queue-type": "quorum",
    # looking at dead letters counts as delivering them, and RabbitMQ 4 drops after 20 deliveries unless told otherwise
    "x-delivery-limit": 2**31 - 1,
}


async def declare_inbound(channel: AbstractChannel) -> AbstractQueue:
    """Declare where producers publish, and where what can never be stored goes; returns the inbound queue."""
    dead = await channel.declare_exchange(SIGNALS_DEAD, ExchangeType.DIRECT, durable=True)
    dead_queue = await declare_dead_queue(channel)
    await dead_queue.bind(dead, SIGNALS_DEAD)
    inbound = await channel.declare_exchange(SIGNALS_INBOUND, ExchangeType.DIRECT, durable=True)
    queue = await channel.declare_queue(SIGNALS_INBOUND, durable=True, arguments={**INBOUND_ARGUMENTS})
    await queue.bind(inbound, SIGNALS_INBOUND)
    return queue


async def declare_dead_queue(channel: AbstractChannel) -> AbstractQueue:
    """Declare the queue of dead letters."""
    return await channel.declare_queue(SIGNALS_DEAD, durable=True, arguments={**DEAD_ARGUMENTS})


async def declare_probes(channel: AbstractChannel) -> AbstractExchange:
    """Declare the exchange of probes."""
    return await channel.declare_exchange(GATEWAY_PROBES, ExchangeType.DIRECT, durable=True)


async def declare_events(channel: AbstractChannel, name: str) -> AbstractExchange:
    """Declare one of the fanout exchanges."""
    return await channel.declare_exchange(name, ExchangeType.FANOUT, durable=True)
