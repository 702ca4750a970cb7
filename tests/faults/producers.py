"""Producers that write down what they were told about each submission."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol
from urllib.parse import urlsplit

import aio_pika
import httpx
from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError

from tests.faults.history import CANARY, History, Outcome, Submitted
from tests.support.http import async_http
from tests.support.producers import INBOUND
from tests.support.producers import submission as valid_submission
from tests.support.stack import PRODUCER

sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type] # httpcore looks for it on the disk at every lock

TIMEOUT = 5.0
RETRY_WITHIN = 120.0
FIRST_PAUSE, LAST_PAUSE = 0.2, 4.0
AT_ONCE = 50
"""Requests under way on one transport; httpx takes a time that grows with the square of those that wait in its pool."""

MAX_UNSETTLED = 300
"""Submissions under way at once; above it, the flow falls behind its rate instead of burying what is already slow."""

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
SUBMIT = "/api/v1/external-signals/sync/signal"

Attempt = tuple[Outcome, str]


class Transport(Protocol):
    """One way in."""

    async def attempt(self, content: dict[str, object]) -> Attempt:
        """Submit once and say what came of it."""


def make_signal(rng: random.Random, *, premium: bool, padding: int = 0) -> dict[str, object]:
    """A submission; the text of a premium one holds the canary. `padding` makes it so many bytes longer."""
    mark = f"{rng.getrandbits(64):016x}"
    return valid_submission(
        confidence=rng.uniform(85.0, 100.0) if premium else rng.uniform(0.0, 84.9),
        reasoning=(f"{CANARY}{mark}" if premium else f"plain-{mark}") + "." * padding,
        symbol=rng.choice(("AAPL", "BTC/USD", "BRK.B", "TSLA")),
    )


class HttpTransport:
    """`POST …/sync/signal`, on connections that are kept."""

    def __init__(self, url: str, api_key: str, *, timeout: float = TIMEOUT) -> None:
        self._http = async_http(
            base_url=url, headers={"X-API-Key": api_key}, timeout=timeout, limits=httpx.Limits(max_connections=AT_ONCE)
        )
        self._room = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._http.aclose()

    async def attempt(self, content: dict[str, object]) -> Attempt:
        try:
            async with self._room:
                answer = await self._http.post(SUBMIT, json=content)
        except NOT_SENT as error:
            return Outcome.FAIL, f"not sent: {type(error).__name__}"
        except httpx.HTTPError as error:
            return Outcome.INDETERMINATE, f"no answer: {type(error).__name__}"
        told = f"{answer.status_code} {answer.text[:100]}"
        if answer.is_success:
            return Outcome.OK, told
        return (Outcome.INDETERMINATE if answer.is_server_error else Outcome.FAIL), told


class AmqpTransport:
    """Publishes to the inbound exchange with confirms; connects anew after every error."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._user = urlsplit(url).username or "guest"
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._exchange: AbstractExchange | None = None

    async def close(self) -> None:
        with suppress(AMQPError, ChannelInvalidStateError, OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self._stack.aclose()

    async def attempt(self, content: dict[str, object]) -> Attempt:
        return await self.publish(json.dumps(content).encode(), str(content["signal_id"]))

    async def publish(self, body: bytes, message_id: str) -> Attempt:
        """Publish any bytes."""
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                exchange = self._exchange or await self._connect()
        except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError) as error:
            return Outcome.FAIL, f"not sent: {type(error).__name__}"
        try:
            async with asyncio.timeout(self._timeout):
                await exchange.publish(self._message(body, message_id), INBOUND, mandatory=True)
        except DeliveryError as error:
            return Outcome.INDETERMINATE, f"nack: {error}"
        except Exception as error:  # noqa: BLE001 - aiormq raises a bare Exception too when its connection breaks
            await self._disconnect(exchange)
            return Outcome.INDETERMINATE, f"no confirm: {type(error).__name__}"
        return Outcome.OK, "confirmed"

    def _message(self, body: bytes, message_id: str) -> aio_pika.Message:
        return aio_pika.Message(
            body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            user_id=self._user,
            message_id=message_id,
            headers={"x-producer": PRODUCER},
        )

    async def _connect(self) -> AbstractExchange:
        connection = await aio_pika.connect(self._url, timeout=self._timeout, heartbeat=10)
        self._stack.push_async_callback(connection.close)
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await channel.get_exchange(INBOUND)
        return self._exchange

    async def _disconnect(self, exchange: AbstractExchange) -> None:
        if self._exchange is exchange:
            self._exchange = None
            stack, self._stack = self._stack, AsyncExitStack()
            with suppress(AMQPError, ChannelInvalidStateError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await stack.aclose()


class Producer:
    """Submits over one transport. A patient one repeats the same submission until it is told something for certain."""

    def __init__(self, history: History, transport: Transport, rng: random.Random) -> None:
        self._history = history
        self._transport = transport
        self._rng = rng

    async def submit(self, content: dict[str, object], *, patient: bool = True) -> Submitted:
        """Submit and write down how it went."""
        submitted = Submitted(str(content["sha256"]), content, time.monotonic())
        self._history.submissions[submitted.key] = submitted
        perhaps, deadline, pause = False, submitted.began + RETRY_WITHIN, FIRST_PAUSE
        while True:
            submitted.attempts += 1
            outcome, submitted.told = await self._transport.attempt(content)
            perhaps = perhaps or outcome is Outcome.INDETERMINATE
            refused = outcome is Outcome.FAIL and not submitted.told.startswith("not sent")
            if outcome is Outcome.OK or refused or not patient or time.monotonic() > deadline:
                break
            await asyncio.sleep(self._rng.uniform(pause / 2, pause))
            pause = min(2 * pause, LAST_PAUSE)
        submitted.outcome = Outcome.INDETERMINATE if perhaps and outcome is not Outcome.OK else outcome
        submitted.settled = time.monotonic()
        return submitted


@asynccontextmanager
async def steady(
    producers: list[Producer],
    rng: random.Random,
    *,
    rate: float,
    premium_share: float = 0.4,
    patient_share: float = 0.8,
    total: int | None = None,
    padding: int = 0,
) -> AsyncIterator["Flow"]:
    """Submit `rate` signals a second while the block runs, or `total` in all; the end waits until all are settled."""
    flow = Flow(producers, rng, rate, premium_share, patient_share, total, padding)
    async with asyncio.TaskGroup() as group:  # a producer that fails ends the block
        group.create_task(flow.run())
        try:
            yield flow
        finally:
            flow.stop()


class Flow:
    """Signals at a steady rate, each by a producer drawn by lot."""

    def __init__(
        self,
        producers: list[Producer],
        rng: random.Random,
        rate: float,
        premium_share: float,
        patient_share: float,
        total: int | None,
        padding: int,
    ) -> None:
        self._producers = producers
        self._rng = rng
        self._rate = rate
        self._premium_share = premium_share
        self._patient_share = patient_share
        self._total = total
        self._padding = padding
        self._stopped = asyncio.Event()
        self.sent = 0
        self.complete = asyncio.Event()
        """Set when `total` have been sent."""

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped.set()

    async def seconds(self, number: float) -> None:
        """Wait until as much more has been sent as is sent in so many seconds, or all has."""
        count = self.sent + int(number * self._rate)
        count = count if self._total is None else min(count, self._total)
        await until(lambda: self.sent >= count, 300 + number, f"{count} signals sent")

    async def run(self) -> None:
        """Send until stopped, then wait for what is under way."""
        began, room = time.monotonic(), asyncio.Semaphore(MAX_UNSETTLED)
        async with asyncio.TaskGroup() as group:
            while not self._stopped.is_set() and (self._total is None or self.sent < self._total):
                due = began + self.sent / self._rate
                if (wait := due - time.monotonic()) > 0:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stopped.wait(), wait)
                        break
                await room.acquire()
                group.create_task(self._send()).add_done_callback(lambda _: room.release())
                self.sent += 1
            self.complete.set()

    async def _send(self) -> None:
        content = make_signal(self._rng, premium=self._rng.random() < self._premium_share, padding=self._padding)
        producer = self._rng.choice(self._producers)
        await producer.submit(content, patient=self._rng.random() < self._patient_share)


async def until(condition: Callable[[], object], within: float, what: str, every: float = 0.05) -> float:
    """Wait for `condition()`; returns the seconds it took, and fails after `within`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s: {what}"
        await asyncio.sleep(every)
    return time.monotonic() - began
