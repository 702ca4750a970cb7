"""The replica's own queue: both event exchanges are bound to it, and a probe watches that it is really consumed.

A consumer that died is replaced whole, with a new broker object and a new queue name: redeclaring an exclusive queue that a
half-open connection still holds is refused (RESOURCE_LOCKED), and a connection that looks well may have no consumer any more.

FastStream connects and declares. Deliveries are taken below it (`deliveries`): the libraries' pipelines and tasks took more than
half of what a signal costs here (docs/decisions), and nothing of them is needed.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from typing import Protocol, cast

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue
from pamqp import commands, frame

from tiercast_gateway.events import BadEvent, beacon, presence, signal_entry, tier_event
from tiercast_gateway.ring import LogEntry
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.signals import SIGNAL_PUBLISHED
from tiercast_shared.contracts.tiers import SessionRevoked, TierChanged
from tiercast_shared.eventlog.beacon import BEACON
from tiercast_shared.messaging.broker import BROKER_ERRORS, CONNECT_TIMEOUT, HEARTBEAT_SECONDS, with_heartbeat
from tiercast_shared.messaging.deliveries import Message, consume
from tiercast_shared.messaging.probe import PROBE, ProbeReturned, probe
from tiercast_shared.messaging.topology import (
    GATEWAY_PRESENCE,
    GATEWAY_PROBES,
    GATEWAY_QUEUES,
    SIGNALS_EVENTS,
    TIERS_EVENTS,
)
from tiercast_shared.observability import get_logger

SILENCE_SECONDS = 2.0
"""Without a delivery of any kind for this long, while probes are sent every second, the consumer is dead."""

BIND_SECONDS = 5.0
"""How soon a binding is back that went with a deleted exchange. Nothing else shows: the queue still gets its probes."""

FANOUTS = (SIGNALS_EVENTS, TIERS_EVENTS, GATEWAY_PRESENCE)

RETRY_SECONDS = 0.5
STOP_SECONDS = 2.0

log = get_logger()


class EventHandler(Protocol):
    """What is done with events. Called in the order of delivery; nothing here may wait."""

    def signal(self, epoch: str, entry: LogEntry) -> None:
        """A signal was published."""

    def signals_beacon(self, beacon: Beacon) -> None:
        """Ingest is alive, and has published up to `beacon.head`."""

    def tier_event(self, epoch: str, event: TierChanged | SessionRevoked) -> None:
        """An entry of the tiers log was published."""

    def tiers_beacon(self, beacon: Beacon) -> None:
        """The tiers service is alive, and has published up to `beacon.head`."""

    def presence(self, report: GatewayPresence) -> None:
        """A replica, maybe this one, says who is connected to it."""

    def consuming(self) -> None:
        """A new queue is bound and consumed: what was published before must be fetched from the logs."""


Rebind = Callable[[], Awaitable[None]]
"""Binds the queue once more to all exchanges, which are declared if they are not there."""


class DeadConsumer(Exception):
    """Nothing is delivered any more, although the broker may look well."""


RESTARTS: dict[type[Exception], str] = {DeadConsumer: "silence", ProbeReturned: "returned"}
"""What killed the consumer, for the metrics; anything else is the broker."""


class EventConsumer:
    """Consumes for as long as it runs, replacing its queue whenever it died."""

    def __init__(self, url: str, handler: EventHandler, *, replica: str, on_restart: Callable[[str], None]) -> None:
        self._url = url
        self._handler = handler
        self._replica = replica
        self._on_restart = on_restart
        self._last_delivery = time.monotonic()
        self._dead: str | None = "not consuming yet"

    def problem(self) -> str | None:
        """Why nothing is consumed, for `/readyz`."""
        return self._dead

    @property
    def silent_seconds(self) -> float:
        """For how long nothing was delivered, not even a probe."""
        return time.monotonic() - self._last_delivery

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            queue = f"{GATEWAY_QUEUES}{self._replica}.{uuid.uuid4().hex[:8]}"
            try:
                async with self._consuming(queue) as rebind, asyncio.TaskGroup() as group:
                    group.create_task(_keep_bound(rebind))
                    group.create_task(probe(self._url, queue, name=f"{queue} probe", on_blocked=self._heard))
                    group.create_task(self._watch())
            except* (DeadConsumer, ProbeReturned, *BROKER_ERRORS) as errors:
                self._died(errors.exceptions[0], queue)
            await asyncio.sleep(RETRY_SECONDS)

    def _died(self, error: BaseException, queue: str) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self._dead = _text(error)
        log.warning("consumer is dead, starting a new one on a new queue", queue=queue, reason=self._dead, once_in=30)
        self._on_restart(next((why for kind, why in RESTARTS.items() if isinstance(error, kind)), "broker"))

    def _heard(self) -> None:
        self._last_delivery = time.monotonic()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_SECONDS - self.silent_seconds)  # sooner it cannot be over
            if self.silent_seconds >= SILENCE_SECONDS:
                error = DeadConsumer(f"nothing was delivered for {self.silent_seconds:.1f} s")
                self._dead = _text(error)  # shown at once: closing what is half-open takes seconds
                raise error

    @asynccontextmanager
    async def _consuming(self, name: str) -> AsyncIterator[Rebind]:
        broker = RabbitBroker(
            with_heartbeat(self._url).update_query(name=name),
            graceful_timeout=STOP_SECONDS,
            apply_types=False,
            logger=None,
        )
        queue = RabbitQueue(name, exclusive=True, auto_delete=True, durable=False)
        fanouts = [RabbitExchange(exchange, type=ExchangeType.FANOUT, durable=True) for exchange in FANOUTS]
        probes = RabbitExchange(GATEWAY_PROBES, type=ExchangeType.DIRECT, durable=True)

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await broker.start()
                declared = await broker.declare_queue(queue)
                for fanout in fanouts:
                    await declared.bind(await broker.declare_exchange(fanout))
                await declared.bind(await broker.declare_exchange(probes), name)
                channel = cast("Channel", await declared.channel.get_underlay_channel())
                # acknowledged by the broker itself: what is lost with this process is in the logs
                await consume(channel, name, self._deliver, no_ack=True)
            self._heard()
            self._dead = None
            log.info("consuming", queue=name, heartbeat=HEARTBEAT_SECONDS)
            self._handler.consuming()
            yield partial(_bind_again, channel, name)
        finally:
            with suppress(*BROKER_ERRORS):
                async with asyncio.timeout(STOP_SECONDS):
                    await broker.stop()

    def _deliver(self, message: Message) -> None:
        self._heard()
        headers = message.properties.headers or {}
        kind = message.properties.message_type or headers.get("type")
        if kind == PROBE:
            return
        try:
            self._dispatch(kind, headers, message)
        except BadEvent as error:
            log.error(  # noqa: TRY400 - the reason says it all
                "an event was not understood and is skipped; its log will be asked",
                exchange=message.exchange,
                reason=str(error),
            )

    def _dispatch(self, kind: object, headers: Mapping[str, object], message: Message) -> None:
        body = message.body
        if message.exchange == GATEWAY_PRESENCE:
            self._handler.presence(presence(body))
            return
        from_ingest = message.exchange == SIGNALS_EVENTS
        if kind == BEACON:
            (self._handler.signals_beacon if from_ingest else self._handler.tiers_beacon)(beacon(body))
        elif from_ingest and kind == SIGNAL_PUBLISHED:
            entry = signal_entry(headers, body, message.properties.correlation_id)
            self._handler.signal(str(headers.get("epoch", "")), entry)
        elif not from_ingest and kind in {"tier.changed", "session.revoked"}:
            self._handler.tier_event(str(headers.get("epoch", "")), tier_event(body))


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def _keep_bound(rebind: Rebind) -> None:
    while True:
        await asyncio.sleep(BIND_SECONDS)
        await rebind()


async def _bind_again(channel: Channel, queue: str) -> None:
    """Without waiting for answers, of which there are none: if the broker refuses, it closes the channel.

    Raises:
        ConnectionError: it has been closed.
    """
    if channel.is_closed:
        raise ConnectionError("the channel was closed")
    await channel.write_queue.put(ChannelFrame(_bindings(channel.number, queue), should_close=False))


@lru_cache(maxsize=1)
def _bindings(channel_number: int, queue: str) -> bytes:
    exchanges = [(name, "fanout", "") for name in FANOUTS] + [(GATEWAY_PROBES, "direct", queue)]
    return b"".join(
        frame.marshal(method, channel_number)
        for name, kind, key in exchanges
        for method in (
            commands.Exchange.Declare(exchange=name, exchange_type=kind, durable=True, nowait=True),
            commands.Queue.Bind(queue=queue, exchange=name, routing_key=key, nowait=True),
        )
    )
