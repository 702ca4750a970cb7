"""The stack that fault tests share: its broker and its database server may be broken, and it must survive that."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx

from tests.faults.nemesis import revived
from tests.support.breakable import BreakableBroker, BreakablePostgres
from tests.support.http import async_http
from tests.support.lasting_thread import in_lasting_thread
from tests.support.rabbitmq import VirtualHost
from tests.support.services import Service
from tests.support.stack import Stack

INBOUND = "signals.inbound"
RESTARTS = ("tiercast_ingest_inbound_restarts_total", "tiercast_gateway_consumer_restarts_total")


@dataclass(frozen=True, slots=True)
class LogRow:
    """An entry of the signal log as the database holds it."""

    seq: int
    standard_seq: int | None
    body: bytes
    chain: bytes
    standard_chain: bytes | None

    @property
    def key(self) -> str:
        """The producer's hash."""
        key: str = json.loads(self.body)["hash"]
        return key


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A session on a PostgreSQL database."""
    connection = await asyncpg.connect(url, timeout=60)
    try:
        yield connection
    finally:
        await connection.close()


class Ground:
    """A running stack, and what it stands on."""

    def __init__(self, stack: Stack, broker: BreakableBroker, host: VirtualHost, postgres: BreakablePostgres) -> None:
        self.stack = stack
        self.broker = broker
        self.host = host
        self.postgres = postgres

    # -- the broker ------------------------------------------------------------------------------

    async def kill_broker(self) -> None:
        """`kill -9`, once its queues are on disk."""
        await in_lasting_thread(self.broker.await_on_disk, f"{self.host.name}_{INBOUND}")
        await in_lasting_thread(self.broker.kill)

    async def start_broker(self) -> None:
        """Start it on its data; returns when it accepts connections."""
        await in_lasting_thread(self.broker.start)

    async def ctl(self, *arguments: str) -> str:
        """`rabbitmqctl`."""
        return await in_lasting_thread(self.broker.ctl, *arguments)

    async def queues(self) -> list[str]:
        """Names of this virtual host's queues."""
        told = await self.ctl("list_queues", "--vhost", self.host.name, "name", "--no-table-headers")
        return told.split()

    async def manage(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the management API; `{vhost}` in the path is this virtual host."""
        async with async_http(base_url=f"{self.broker.api_url}/", timeout=30) as http:
            return await http.request(method, path.format(vhost=quote(self.host.name, safe="")), **options)

    # -- the database ----------------------------------------------------------------------------

    def session(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A session of our own on ingest's database."""
        return session(urlsplit(self.stack.ingest_database)._replace(scheme="postgresql").geturl())

    async def rows(self) -> list[LogRow]:
        """The whole signal log, in order."""
        names = ", ".join(field.name for field in fields(LogRow))
        async with self.session() as session:
            return [LogRow(*row) for row in await session.fetch(f"SELECT {names} FROM signal_log ORDER BY seq")]

    async def terminate_sessions(self) -> int:
        """End every session of both databases but our own; returns how many."""
        names = [urlsplit(url).path[1:] for url in (self.stack.ingest_database, self.stack.tiers_database)]
        async with self.session() as session:
            ended = await session.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = ANY($1) AND pid <> pg_backend_pid()",
                names,
            )
        return len(ended)

    async def stop_postgres(self) -> None:
        """As `pg_ctl stop -m immediate`."""
        await in_lasting_thread(self.postgres.stop_immediately)

    async def start_postgres(self) -> None:
        """Start it; returns when it answers."""
        await in_lasting_thread(self.postgres.start)

    # -- health ----------------------------------------------------------------------------------

    async def mend(self) -> None:
        """Everything runs again, whatever a trial left behind."""
        if self.broker.running():
            self.broker.resume()
        await self.start_broker()
        await self.start_postgres()
        for service in self.stack.services:
            if service.alive():
                service.resume()
        await revived(self.stack.services)


async def restarts(service: Service) -> float:
    """How often a consumer of the service has ended and was replaced, since its start."""
    async with async_http(timeout=30) as http:
        text = (await http.get(service.metrics_url)).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(RESTARTS))


async def shown_dead_within(service: Service, since: float, within: float) -> tuple[float, set[str]] | None:
    """Ask `/readyz` until it says no, or until the service has counted a replacement more than `since`.

    On a busy machine the second may be all there is to see: half a second may lie between two answers.

    Returns:
        After how many seconds, and what was missing (`{"consumer"}` for a replacement); None if neither ever showed.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with async_http(base_url=service.url, timeout=within) as http:
        while loop.time() - began < within:
            answer = await http.get("/readyz")
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return loop.time() - began, set(answer.json()["missing"])
            if await restarts(service) > since:
                return loop.time() - began, {"consumer"}
            await asyncio.sleep(0.02)
    return None
