"""A running stack with producers and clients around it, whose history is kept."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import httpx

from tests.faults.checker import Findings, check
from tests.faults.client import ResumingClient
from tests.faults.history import ClientRecord, History, Outcome, Submitted, TierSetting
from tests.faults.producers import AT_ONCE, AmqpTransport, HttpTransport, Producer, make_signal, until
from tests.faults.results import RESULTS
from tests.support.http import async_http
from tests.support.services import Service
from tests.support.stack import Stack

TIERS = ("starter", "pro", "elite")
GRACE = 31.0
"""Seconds after an answered downgrade in which premium may still reach that user: the tier lease, and one for the network."""

HEAL_WITHIN = 240.0
"""Seconds; far more than a quiet machine takes, so that what is missing then is lost and not late."""

PATIENCE = 180.0
"""Seconds until a trial gives up waiting for what must come."""


class Arena:
    """An async context manager: clients and producers end with it. Users' names begin with `prefix`."""

    def __init__(self, stack: Stack, rng: random.Random, *, prefix: str = "") -> None:
        self.stack = stack
        self._prefix = prefix
        self.rng = rng
        self.history = History()
        self.clients: list[ResumingClient] = []
        self._runs: list[asyncio.Task[None]] = []
        self._ends = AsyncExitStack()
        self._admin = async_http(headers={"X-Admin-Key": stack.admin_key}, limits=httpx.Limits(max_connections=AT_ONCE))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        await self._admin.aclose()
        await self._ends.aclose()

    # -- who takes part --------------------------------------------------------------------------

    def http_producer(self, url: str | None = None, *, timeout: float = 5.0) -> Producer:
        """A producer over HTTP; of ingest's first replica unless told."""
        transport = HttpTransport(url or self.stack.ingest.url, self.stack.api_key, timeout=timeout)
        self._ends.push_async_callback(transport.close)
        return Producer(self.history, transport, self.rng)

    def amqp_producer(self, url: str | None = None, *, timeout: float = 5.0) -> Producer:
        """A producer over AMQP."""
        transport = AmqpTransport(url or self.stack.amqp_url, timeout=timeout)
        self._ends.push_async_callback(transport.close)
        return Producer(self.history, transport, self.rng)

    async def set_tier(self, user: str, tier: str, *, url: str | None = None, patience: float = 10) -> TierSetting:
        """Ask the tiers API, and write down whether it answered."""
        setting = TierSetting(user, tier, time.monotonic())
        self.history.tiers.append(setting)
        try:
            answer = await self._admin.put(
                f"{url or self.stack.tiers.url}/api/v1/users/{user}/tier",
                json={"tier": tier, "reason": "trial"},
                timeout=patience,
            )
            if answer.is_success:
                setting.answered = time.monotonic()
        except httpx.HTTPError:
            pass  # it may or may not have been set
        return setting

    async def certainly_set_tier(self, user: str, tier: str, within: float = PATIENCE) -> TierSetting:
        """Ask until the tiers API answers that it is so."""
        deadline = time.monotonic() + within
        while (setting := await self.set_tier(user, tier)).answered is None:
            assert time.monotonic() < deadline, "the tiers API does not set a tier"
            await asyncio.sleep(0.2)
        return setting

    async def add_clients(
        self, tier: str, count: int, *, per_user: int | None = None, name: str = "", connected: bool = True
    ) -> list[ResumingClient]:
        """Connect `count` clients of users with `tier`; returns when all are told `connected`.

        A user has `per_user` of them, else half of what a STARTER may have: a replica that was killed is counted for 5 s more.
        """
        per_user = per_user or (1 if tier == "starter" else 2)
        added: list[ResumingClient] = []
        for number in range(count):
            user = f"{self._prefix}{name or tier}-{number // per_user}"
            if number % per_user == 0 and tier != "starter":
                await self.certainly_set_tier(user, tier)
            added.append(self.add_client(user, f"{user}/{number % per_user}"))
        if connected:
            await until(lambda: all(each.record.connected_at for each in added), PATIENCE, "clients connected")
        return added

    def add_client(self, user: str, name: str = "") -> ResumingClient:
        """One more client, connecting."""
        urls = [gateway.url for gateway in self.stack.gateways]
        record = self.history.client(name or user, user)
        client = ResumingClient(record, urls, lambda: self.stack.token(user), random.Random(self.rng.random()))
        self.clients.append(client)
        self._runs.append(asyncio.create_task(client.run()))
        return client

    async def burst(self, count: int, batch: int = 250) -> None:
        """Submit `count` signals in bulk."""
        async with self.stack.producer_http() as http:
            for start in range(0, count, batch):
                size = min(batch, count - start)
                signals = [make_signal(self.rng, premium=self.rng.random() < 0.4) for _ in range(size)]
                noted = [Submitted(str(each["sha256"]), each, time.monotonic()) for each in signals]
                self.history.submissions |= {each.key: each for each in noted}
                answer = await http.post("/api/v1/external-signals/sync/signals", json={"signals": signals})
                assert answer.json().get("accepted") == size, answer.text
                for each in noted:
                    each.outcome, each.told = Outcome.OK, "in bulk"

    def replica_of_ingest(self) -> Service:
        """A further replica on the same database, not started."""
        name = f"ingest-{len(self.stack.services)}"
        ports = {"INGEST_PORT", "INGEST_METRICS_PORT"}
        environment = {name: value for name, value in self.stack.ingest.environment.items() if name not in ports}
        return Service("ingest", environment, self.stack.ingest.log.with_name(f"{name}.log"))

    async def back(self, since: float, within: float = PATIENCE) -> None:
        """Wait until every client is told `connected` on a connection that was opened after `since`."""
        await until(lambda: all(client.back_since(since) for client in self.clients), within, "all clients are back")

    # -- the end ---------------------------------------------------------------------------------

    async def converged(self, within: float = HEAL_WITHIN) -> float:
        """Send a last standard and a last premium signal and wait until nothing that is due is missing.

        Returns the seconds it took; when it is still missing after `within`, that is for the checker to say.
        """
        began = time.monotonic()
        last = self.http_producer(timeout=60)
        for premium in (True, False):
            submitted = await last.submit(make_signal(self.rng, premium=premium))
            assert submitted.outcome is Outcome.OK, f"after healing ingest answers {submitted.told}"
        while self.missing() and time.monotonic() - began < within:  # noqa: ASYNC110 - asked rarely, it looks at everything
            await asyncio.sleep(0.1)
        took = time.monotonic() - began
        await self.flushed()
        return took

    def missing(self) -> list[tuple[ClientRecord, int]]:
        """Clients that still lack something, and how much."""
        lacking = ((client, len(self.history.missing(client))) for client in self.history.clients)
        return [(client, count) for client, count in lacking if count]

    async def flushed(self, within: float = PATIENCE) -> None:
        """Wait until what the gateways had sent before now has arrived."""
        before = {client: _pongs(client) for client in self.clients if client.connected}
        await asyncio.gather(*(client.ping() for client in before))
        await until(
            lambda: all(not client.connected or _pongs(client) > count for client, count in before.items()),
            within,
            "pongs",
        )

    def findings(self, *, grace: float = GRACE) -> Findings:
        """What the checker says; the history is kept if that is not nothing."""
        findings = check(self.history, grace=grace)
        if any(findings.violations.values()):
            RESULTS.mkdir(parents=True, exist_ok=True)
            self.history.dump(RESULTS / f"violation-{time.time():.0f}.jsonl")
        return findings


def _pongs(client: ResumingClient) -> int:
    return sum(b'"pong"' in raw for raw in client.record.sessions[-1].raw)
