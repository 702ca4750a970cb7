"""A broker: fanout exchanges and a queue per replica. It loses, repeats and delays messages, and blocks publishers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tests.simulation.pipeline.host import Host, Weather
from tiercast_shared.messaging.broker import OutgoingEvent

LATEST = 2.5
"""Seconds after which even a late message has come."""

Deliver = Callable[[str, OutgoingEvent], None]


class Queue:
    """A replica's queue, as long as it is bound."""

    def __init__(self, weather: Weather, deliver: Deliver) -> None:
        self._weather = weather
        self._deliver = deliver
        self._last = 0.0
        self.bound = True

    def take(self, exchange: str, event: OutgoingEvent) -> None:
        weather = self._weather
        if weather.happens(weather.loss):
            return
        self._later(exchange, event)
        if weather.happens(weather.copies):
            self._later(exchange, event)

    def _later(self, exchange: str, event: OutgoingEvent) -> None:
        loop, weather = asyncio.get_running_loop(), self._weather
        if weather.happens(weather.late):
            at = loop.time() + weather.chance.random() * LATEST  # and those behind it overtake it
        else:
            at = self._last = max(self._last, loop.time() + weather.delay())
        loop.call_at(at, self._arrive, exchange, event)

    def _arrive(self, exchange: str, event: OutgoingEvent) -> None:
        if self.bound:
            self._deliver(exchange, event)


class Broker:
    """Where publishers and replicas meet."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.published: list[tuple[str, OutgoingEvent]] = []
        self._queues: list[Queue] = []
        self._open = asyncio.Event()
        self._open.set()

    def bind(self, deliver: Deliver) -> Queue:
        queue = Queue(self.weather, deliver)
        self._queues.append(queue)
        return queue

    def unbind(self, queue: Queue) -> None:
        queue.bound = False
        self._queues.remove(queue)

    def block(self) -> None:
        """A memory alarm: who publishes waits."""
        self._open.clear()

    def unblock(self) -> None:
        self._open.set()

    def outlet(self, host: Host, exchange: str) -> "Outlet":
        return Outlet(self, host, exchange)

    async def unblocked(self) -> None:
        await self._open.wait()

    def route(self, exchange: str, events: Sequence[OutgoingEvent]) -> None:
        for event in events:
            self.published.append((exchange, event))
            for queue in self._queues:
                queue.take(exchange, event)


class Outlet:
    """One publisher's connection."""

    def __init__(self, broker: Broker, host: Host, exchange: str) -> None:
        self._broker = broker
        self._host = host
        self._exchange = exchange

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Outlet"]:
        await self._host.io()
        if self._broker.weather.happens(self._broker.weather.refused):
            raise ConnectionError("no connection")
        yield self

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """All of them, or any first part of them, or all with an error, or the rest later than the error."""
        broker, weather = self._broker, self._broker.weather
        await self._host.io()
        await broker.unblocked()
        if not weather.happens(weather.refused / 2):
            broker.route(self._exchange, events)
            await self._host.io()
            return
        arrived = weather.chance.randint(0, len(events))
        broker.route(self._exchange, events[:arrived])
        if weather.chance.random() < 0.5:
            loop = asyncio.get_running_loop()
            loop.call_later(weather.chance.random(), broker.route, self._exchange, events[arrived:])
        await self._host.io()
        raise TimeoutError("no confirm")
