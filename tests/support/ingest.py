"""Parts of ingest put together for tests: submissions as the writer takes them, and the HTTP application in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from tests.support.rabbitmq import VirtualHost
from tiercast_ingest.app import http_app
from tiercast_ingest.dead_letters import DeadLetters
from tiercast_ingest.delivery import MessageHandler
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.domain.submission import parse
from tiercast_ingest.inbound import Inbound
from tiercast_ingest.intake import Intake
from tiercast_ingest.metrics import IngestMetrics
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_ingest.producer_store import ProducerStore
from tiercast_ingest.settings import IngestSettings
from tiercast_ingest.store import SignalStore
from tiercast_ingest.writer import SignalWriter
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_shared.eventlog.watch import LogWatch
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.health import ReadinessChecks
from tiercast_shared.serving import background

SERVICE_KEY = "service-key-of-the-test"
KEYS = {"acme": "key-of-acme-0123456789", "other": "key-of-other-012345678"}
SYNC = "/api/v1/external-signals/sync"

Sent = dict[str, object]


def submitted(sent: Sent, producer: str = "acme", *, correlation_id: str = "correlation") -> Submission:
    """What a transport makes of a producer's JSON."""
    return Submission(producer, parse(json.dumps(sent).encode()), correlation_id, 1000.0)


class Submitter:
    """A writer, and what it announced."""

    def __init__(self, database: Database) -> None:
        self.announced: list[LogEvent] = []
        self.heads: list[Head] = []
        self.writer = SignalWriter(database, self._announce)

    async def commit(self, *sent: Sent, producer: str = "acme") -> list[Stored | Exception]:
        """Commit these in one batch."""
        return await self.writer.commit([submitted(each, producer) for each in sent])

    def _announce(self, head: Head, events: Sequence[LogEvent]) -> None:
        self.heads.append(head)
        self.announced += events


class HttpIngest:
    """The HTTP application over a database, without broker and socket."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        store: SignalStore,
        registry: CollectorRegistry,
        producers: ProducerDirectory,
    ) -> None:
        self.client = client
        self.store = store
        self.registry = registry
        self.producers = producers

    async def post(
        self,
        content: Sent | list[Sent] | bytes,
        path: str = "/signal",
        *,
        key: str | None = KEYS["acme"],
        **headers: str,
    ) -> httpx.Response:
        """Send a submission as `acme`."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        shown = {"X-API-Key": key} if key is not None else {}
        return await self.client.post(f"{SYNC}{path}", content=body, headers=shown | headers)

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of `/metrics`."""
        return self.registry.get_sample_value(f"tiercast_ingest_{name}", labels)


@asynccontextmanager
async def inbound_ingest(
    database: Database, url: str, *, prefetch: int = 1000, producer_limit: int = 1_000_000
) -> AsyncIterator["InboundIngest"]:
    """Run the writer and the consumer of `signals.inbound`, who trusts the user of `url`; returns when it consumes."""
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    writer = BatchWriter[Submission, Stored](SignalWriter(database, lambda _head, _events: None).commit)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(background(writer.run))
        dead_letters = await stack.enter_async_context(DeadLetters(url, metrics))
        producers = ProducerDirectory(ProducerStore(database))
        await producers.begin({})
        limits = ProducerLimits(producers.per_second, producer_limit)
        trusted = {urlsplit(url).username or "guest"}
        handler = MessageHandler(Intake(writer, metrics), dead_letters, trusted, producers, limits)
        inbound = Inbound(url, handler, metrics, prefetch=prefetch)
        await stack.enter_async_context(background(inbound.run))
        await eventually(lambda: inbound.problem() is None)
        yield InboundIngest(inbound, SignalStore(database), registry, producers)


@dataclass
class InboundIngest:
    """A running consumer and where its messages go."""

    inbound: Inbound
    store: SignalStore
    registry: CollectorRegistry
    producers: ProducerDirectory

    async def stored(self, count: int, within: float = 30) -> None:
        """Wait until the log holds `count` signals."""
        async with asyncio.timeout(within):
            while (await self.store.head()).seq < count:  # noqa: ASYNC110 - only the database knows
                await asyncio.sleep(0.01)

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of `/metrics`."""
        return self.registry.get_sample_value(f"tiercast_ingest_{name}", labels)


async def close_connections(virtual_host: VirtualHost, name: str) -> None:
    """Have the broker close the connections with this name."""
    api = virtual_host._api
    closed = 0
    async with asyncio.timeout(20):
        while not closed:
            for connection in (await asyncio.to_thread(api.get, f"vhosts/{virtual_host.name}/connections")).json():
                if (
                    connection.get("user_provided_name") == name
                    or connection["client_properties"].get("connection_name") == name
                ):
                    await asyncio.to_thread(api.delete, f"connections/{quote(connection['name'])}")
                    closed += 1
            await asyncio.sleep(0.1)


async def eventually(condition: Callable[[], bool], within: float = 20) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the condition has no event of its own
            await asyncio.sleep(0.005)


@asynccontextmanager
async def http_ingest(
    database: Database, *, raise_app_exceptions: bool = True, producer_limit: int = 1_000_000
) -> AsyncIterator[HttpIngest]:
    """Run the writer and serve the application to a client."""
    settings = IngestSettings(
        INGEST_DATABASE_URL="unused",
        AMQP_URL="unused",
        SERVICE_KEY=SERVICE_KEY,
    )
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    store = SignalStore(database)
    watch = LogWatch(store.publication, metrics.log.looked)
    checks = ReadinessChecks()
    checks.add("database", watch.database_problem)
    writer = BatchWriter[Submission, Stored](
        SignalWriter(database, lambda _head, events: metrics.committed(events)).commit
    )
    producers = ProducerDirectory(ProducerStore(database))
    await producers.begin({producer: SecretStr(key) for producer, key in KEYS.items()})
    limits = ProducerLimits(producers.per_second, producer_limit)
    intake = Intake(writer, metrics)
    app = http_app(settings, store, intake, checks, watch, producers=producers, limits=limits, metrics=metrics)
    transport = httpx.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
    running = asyncio.create_task(writer.run())
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            yield HttpIngest(client, store, registry, producers)
    finally:
        running.cancel()
        await asyncio.wait([running])
