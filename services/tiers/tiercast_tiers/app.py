"""Composition root: builds the service from its settings, and takes it down in reverse order."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from tiercast_shared.correlation import CorrelationMiddleware
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import PublisherLease, replica_name
from tiercast_shared.eventlog.listener import CommitListener
from tiercast_shared.eventlog.migrations import wait_until_migrated
from tiercast_shared.eventlog.publisher import Publisher
from tiercast_shared.eventlog.watch import LogWatch
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.health import ReadinessChecks, health_router
from tiercast_shared.messaging.broker import Outlet
from tiercast_shared.messaging.topology import TIERS_EVENTS
from tiercast_shared.observability import get_logger, metrics_server
from tiercast_shared.runtime_metrics import ReadinessCollector, register_runtime
from tiercast_shared.serving import Server, background, server_config
from tiercast_shared.web import install_error_handlers
from tiercast_tiers.api import Submit, admin_router
from tiercast_tiers.billing_writer import BillingWriter
from tiercast_tiers.domain import Change, Outcome
from tiercast_tiers.metrics import TiersMetrics
from tiercast_tiers.service_api import service_router
from tiercast_tiers.settings import TiersSettings
from tiercast_tiers.store import TierStore
from tiercast_tiers.stripe_webhook import webhook_router
from tiercast_tiers.tables import TierLogHead, TierLogPublisher
from tiercast_tiers.writer import TierLogWriter

PACKAGE = "tiercast_tiers"
MIGRATE = "tiercast-tiers migrate"
VERSION = version("tiercast-tiers")

log = get_logger()


@asynccontextmanager
async def running(settings: TiersSettings) -> AsyncIterator[FastAPI]:
    """Everything but the HTTP server runs while the block does; yields the application to serve.

    Raises:
        NotMigrated: the database lacks this version's tables.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url.get_secret_value()
        registry = CollectorRegistry()
        metrics = TiersMetrics(registry)
        register_runtime(registry, "tiers", VERSION)
        database = await stack.enter_async_context(Database.open(url, on_statement=metrics.statements.inc))
        # apart, so that neither the lease nor the next event ever waits for a connection behind changes and readers
        publishing = await stack.enter_async_context(Database.open(url, on_statement=metrics.statements.inc))
        await wait_until_migrated(database, PACKAGE, MIGRATE)
        store = TierStore(database)
        holder = replica_name()
        listener = CommitListener(publishing, TierLogHead)
        publisher = Publisher(
            TierStore(publishing),
            PublisherLease(publishing, TierLogPublisher, holder),
            partial(Outlet.open, settings.amqp_url.get_secret_value(), TIERS_EVENTS, name=f"tiers publisher {holder}"),
            metrics.log,
            poll_seconds=listener.poll_seconds,
        )
        writer = BatchWriter[Change, Outcome](TierLogWriter(database, publisher.offer).commit)
        billing = BillingWriter(database, publisher.offer, settings.stripe_prices, settings.grace_days)
        watch = LogWatch(TierStore(publishing).publication, metrics.log.looked)
        stack.enter_context(metrics_server(registry, host=settings.host, port=settings.metrics_port))
        await stack.enter_async_context(background(publisher.run, watch.run, lambda: listener.run(publisher.hint)))
        stack.push_async_callback(publisher.publish_the_rest)
        await stack.enter_async_context(background(writer.run, billing.run))

        checks = readiness(watch)
        registry.register(ReadinessCollector(checks))
        yield http_app(settings, store, writer.submit, billing, checks, metrics=metrics)


def http_app(
    settings: TiersSettings,
    store: TierStore,
    submit: Submit,
    billing: BillingWriter,
    checks: ReadinessChecks,
    *,
    metrics: TiersMetrics,
) -> FastAPI:
    """All routes."""
    app = FastAPI(title="Tiercast tiers", version=VERSION)
    install_error_handlers(app)
    app.add_middleware(CorrelationMiddleware)
    app.include_router(health_router(checks))
    app.include_router(admin_router(store, submit, metrics, settings.admin_key))
    app.include_router(service_router(store, metrics, settings.service_key))
    if settings.stripe_webhook_secrets:
        app.include_router(
            webhook_router(billing, metrics, settings.stripe_webhook_secrets, settings.stripe_prices.keys())
        )
    metrics.http.install(app)
    return app


def readiness(watch: LogWatch) -> ReadinessChecks:
    """What `/readyz` asks."""
    checks = ReadinessChecks()
    checks.add("database", watch.database_problem)
    return checks


async def serve(settings: TiersSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with running(settings) as app:
        log.info("serving", host=settings.host, port=settings.port, metrics_port=settings.metrics_port)
        await Server(server_config(app, host=settings.host, port=settings.port)).serve()
    log.info("stopped")
