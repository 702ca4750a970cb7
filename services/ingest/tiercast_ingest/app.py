"""Composition root: builds the service from its settings, and takes it down in reverse order."""

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from tiercast_ingest.admission import Admission
from tiercast_ingest.api import signal_router, sync_health_router
from tiercast_ingest.api_keys import ProducerKeys
from tiercast_ingest.batch_api import batch_router
from tiercast_ingest.consumer import QueueLengths
from tiercast_ingest.dead_letters import DeadLetters
from tiercast_ingest.delivery import MessageHandler
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.inbound import Inbound
from tiercast_ingest.intake import Intake
from tiercast_ingest.ledger_api import ledger_router
from tiercast_ingest.log_api import log_router
from tiercast_ingest.metrics import IngestMetrics
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_ingest.producer_store import ProducerStore
from tiercast_ingest.queues_api import queues_router
from tiercast_ingest.settings import IngestSettings
from tiercast_ingest.store import SignalStore
from tiercast_ingest.tables import SignalLogHead, SignalLogPublisher
from tiercast_ingest.writer import Announce, SignalWriter
from tiercast_shared.correlation import CorrelationMiddleware
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import PublisherLease, replica_name
from tiercast_shared.eventlog.listener import CommitListener
from tiercast_shared.eventlog.migrations import wait_until_migrated
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publisher import EventOutlet, LogEvent, Publisher
from tiercast_shared.eventlog.watch import LogWatch
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.health import ReadinessChecks, health_router
from tiercast_shared.messaging.broker import Outlet
from tiercast_shared.messaging.topology import SIGNALS_EVENTS
from tiercast_shared.observability import get_logger, metrics_server
from tiercast_shared.runtime_metrics import ReadinessCollector, register_runtime
from tiercast_shared.serving import Server, background, server_config
from tiercast_shared.web import install_error_handlers

PACKAGE = "tiercast_ingest"
MIGRATE = "tiercast-ingest migrate"
VERSION = version("tiercast-ingest")

MakeWriter = Callable[[Database, Announce], SignalWriter]
OpenOutlet = Callable[..., AbstractAsyncContextManager[EventOutlet]]
"""The collaborators that a test may want to wrap; `Outlet.open` is called with URL, exchange and `name`."""

log = get_logger()


@asynccontextmanager
async def running(
    settings: IngestSettings, *, make_writer: MakeWriter = SignalWriter, open_outlet: OpenOutlet = Outlet.open
) -> AsyncIterator[FastAPI]:
    """Everything but the HTTP server runs while the block does; yields the application to serve.

    At the end what has been accepted is committed, acknowledged and, if that is quick, published.

    Raises:
        NotMigrated: the database lacks this version's tables.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        registry = CollectorRegistry()
        metrics = IngestMetrics(registry)
        register_runtime(registry, "ingest", VERSION)
        database = await stack.enter_async_context(Database.open(url, on_statement=metrics.statements.inc))
        # apart, so that neither the lease nor the next event ever waits for a connection behind submissions and readers
        publishing = await stack.enter_async_context(Database.open(url, on_statement=metrics.statements.inc))
        await wait_until_migrated(database, PACKAGE, MIGRATE)
        store = SignalStore(database)
        producers = ProducerDirectory(ProducerStore(publishing))
        await producers.begin(settings.api_keys)
        limits = ProducerLimits(producers.per_second, settings.producer_limit)
        holder = replica_name()
        amqp_url = settings.amqp_url.get_secret_value()
        listener = CommitListener(publishing, SignalLogHead)
        publisher = Publisher(
            SignalStore(publishing),
            PublisherLease(publishing, SignalLogPublisher, holder),
            partial(open_outlet, amqp_url, SIGNALS_EVENTS, name=f"ingest publisher {holder}"),
            metrics.log,
            poll_seconds=listener.poll_seconds,
        )
        watch = LogWatch(SignalStore(publishing).publication, metrics.log.looked)
        admission = Admission(lambda: watch.backlog, settings.backlog_limit)

        def announce(head: Head, events: Sequence[LogEvent]) -> None:
            metrics.committed(events)
            publisher.offer(head, events)

        writer = BatchWriter[Submission, Stored](
            make_writer(database, announce).commit, pace=publisher.keep_up, max_batch=settings.max_batch
        )
        metrics.watch_waiting(lambda: writer.waiting)
        intake = Intake(writer, metrics, admit=admission.check)
        stack.enter_context(metrics_server(registry, host=settings.host, port=settings.metrics_port))
        await stack.enter_async_context(
            background(publisher.run, watch.run, producers.run, lambda: listener.run(publisher.hint))
        )
        stack.push_async_callback(publisher.publish_the_rest)
        await stack.enter_async_context(background(writer.run))
        dead_letters = await stack.enter_async_context(DeadLetters(amqp_url, metrics))
        handler = MessageHandler(intake, dead_letters, settings.trusted_publishers, producers, limits)
        inbound = Inbound(amqp_url, handler, metrics, prefetch=settings.prefetch)
        await stack.enter_async_context(background(inbound.run))

        checks = ReadinessChecks()
        checks.add("database", watch.database_problem)
        checks.add("inbound", inbound.problem)
        registry.register(ReadinessCollector(checks))
        yield http_app(
            settings,
            store,
            intake,
            checks,
            watch,
            producers=producers,
            limits=limits,
            metrics=metrics,
            queues=lambda: inbound.queues,
        )


def http_app(
    settings: IngestSettings,
    store: SignalStore,
    intake: Intake,
    checks: ReadinessChecks,
    watch: LogWatch,
    *,
    producers: ProducerDirectory,
    limits: ProducerLimits,
    metrics: IngestMetrics,
    queues: Callable[[], QueueLengths] = QueueLengths,
) -> FastAPI:
    """All routes."""
    keys = ProducerKeys(producers, intake)
    app = FastAPI(title="Tiercast ingest", version=VERSION)
    install_error_handlers(app)
    app.add_middleware(CorrelationMiddleware)
    app.include_router(health_router(checks))
    app.include_router(signal_router(intake, keys, limits))
    app.include_router(batch_router(intake, keys, limits))
    app.include_router(sync_health_router(watch.database_problem))
    app.include_router(log_router(store, settings.service_key))
    app.include_router(ledger_router(store, settings.service_key))
    app.include_router(queues_router(queues, settings.service_key))
    metrics.http.install(app)
    return app


async def serve(
    settings: IngestSettings, *, make_writer: MakeWriter = SignalWriter, open_outlet: OpenOutlet = Outlet.open
) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with running(settings, make_writer=make_writer, open_outlet=open_outlet) as app:
        gc.collect()
        gc.freeze()  # what is loaded now stays: collections that look at it again cost a tenth of the throughput
        log.info("serving", host=settings.host, port=settings.port, metrics_port=settings.metrics_port)
        await Server(server_config(app, host=settings.host, port=settings.port)).serve()
    log.info("stopped")
