"""What goes on through an upgrade: producers that repeat until they are told yes, and users who stay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from tests.support.clients import SocketClient
from tests.support.http import async_http
from tests.support.producers import AmqpProducer, premium, standard
from tests.support.stack import Stack
from tests.upgrade.clients import StayingClient

PACE_SECONDS = 0.02
"""Between two signals: 50 a second at most, by turns over HTTP and AMQP."""
WITHIN_SECONDS = 180
USERS = ("upgrade-pro", "upgrade-starter")


class Load:
    """One producer over HTTP and AMQP at `ingest_port`, and each user on each of `gateways`, which may be replaced."""

    def __init__(self, stack: Stack, ingest_port: int) -> None:
        self._stack = stack
        self._url = f"http://127.0.0.1:{ingest_port}"
        self._enough = asyncio.Event()
        self.sent: list[dict[str, object]] = []
        self.refused = 0
        self.gateways = list(stack.gateways)
        self.clients = {
            (user, index): StayingClient(self._connector(user, index))
            for user in USERS
            for index in range(len(self.gateways))
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Produce while the block runs. Nothing is sent before every user is there: who comes later is owed nothing of before."""
        async with asyncio.TaskGroup() as group:
            staying = [group.create_task(client.run()) for client in self.clients.values()]
            try:
                await self._until("every user is connected", lambda: all(c.connections for c in self.clients.values()))
                producing = group.create_task(self._produce())
                yield
                self._enough.set()
                await producing  # the last signal is either accepted and noted, or neither
                await self._until("every user has every signal", lambda: not any(self.missing().values()))
            finally:
                self._enough.set()
                for task in staying:
                    task.cancel()

    async def grown(self, by: int = 100) -> None:
        """Wait until `by` more signals were sent and every user has had some."""
        target = len(self.sent) + by
        before = {key: len(client.signals) for key, client in self.clients.items()}
        await self._until(
            f"{target} signals are sent and every user has had some",
            lambda: len(self.sent) >= target and all(len(c.signals) > before[key] for key, c in self.clients.items()),
        )

    def owed(self, user: str) -> int:
        """How many signals a user is to have of what was sent."""
        if user == "upgrade-pro":
            return len(self.sent)
        return sum(float(str(signal["confidence"])) < 85 for signal in self.sent)

    def missing(self) -> dict[str, list[int]]:
        """The numbers that each user has not been sent."""
        return {
            f"{user} {index}": sorted(set(range(1, self.owed(user) + 1)) - set(client.seqs))
            for (user, index), client in self.clients.items()
        }

    def summary(self) -> dict[str, object]:
        """What was sent, and what each user saw of it."""
        return {
            "sent": len(self.sent),
            "repeated over HTTP": self.refused,
            "clients": {
                f"{user} {index}": {
                    "signals": len(client.signals),
                    "connections": client.connections,
                    "resyncs": client.resyncs,
                }
                for (user, index), client in self.clients.items()
            },
        }

    def _connector(self, user: str, index: int) -> Callable[[str | None], SocketClient]:
        def connect(cursor: str | None) -> SocketClient:
            address = self.gateways[index].url.removeprefix("http://")
            return SocketClient(f"ws://{address}/ws/signals", self._stack.token(user), cursor=cursor)

        return connect

    async def _produce(self) -> None:
        with AmqpProducer(self._stack.amqp_url) as producer:
            while not self._enough.is_set():
                signal = premium() if len(self.sent) % 3 else standard()
                if len(self.sent) % 2:
                    await asyncio.to_thread(producer.publish, signal)
                else:
                    await self._until_accepted(signal)
                self.sent.append(signal)
                await asyncio.sleep(PACE_SECONDS)

    async def _until_accepted(self, signal: dict[str, object]) -> None:
        """As a producer must: the same signal again until it is said to be stored."""
        async with async_http(base_url=self._url, headers={"X-API-Key": self._stack.api_key}) as http:
            while True:
                with suppress(httpx.HTTPError):
                    answer = await http.post("/api/v1/external-signals/sync/signal", json=signal, timeout=10)
                    if answer.status_code in {200, 201}:
                        return
                self.refused += 1
                await asyncio.sleep(PACE_SECONDS)

    async def _until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for what many parts have a hand in; an `AssertionError` with who lacks what when it does not come."""
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                while not condition():  # noqa: ASYNC110 - a condition over many
                    await asyncio.sleep(PACE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {WITHIN_SECONDS} s: {what}; {self.summary()}; {self.missing()}") from None
