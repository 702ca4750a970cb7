"""The composition root: builds the gateway from its settings and runs it."""

import asyncio
import gc
import socket
import time
import uuid
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from tiercast_gateway.api import signals_router
from tiercast_gateway.auth import Identity
from tiercast_gateway.callers import Callers
from tiercast_gateway.clients import IngestClient, TiersClient
from tiercast_gateway.connection_limits import ConnectionLimits
from tiercast_gateway.consumers import EventConsumer
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.dashboard import Dashboard
from tiercast_gateway.delivery_times import DeliveryTimes
from tiercast_gateway.drain import Drain
from tiercast_gateway.edge import Edge
from tiercast_gateway.feed import Applied, SignalFeed
from tiercast_gateway.handshake_limits import HandshakeLimits
from tiercast_gateway.heartbeat import heartbeat, sweep
from tiercast_gateway.history import History
from tiercast_gateway.hub import Hub
from tiercast_gateway.latest import Latest
from tiercast_gateway.ledger import ledger_router
from tiercast_gateway.memory import MemoryReturn
from tiercast_gateway.metrics import GatewayMetrics, StateCollector
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.ops import Operations, ops_router
from tiercast_gateway.polling import Polling
from tiercast_gateway.presence import Presence
from tiercast_gateway.presence_exchange import PresenceExchange
from tiercast_gateway.rate_limit_headers import RateLimitHeaders
from tiercast_gateway.refill import SignalRefill
from tiercast_gateway.request_limits import RequestLimits
from tiercast_gateway.server import DrainingServer
from tiercast_gateway.session_metrics import SessionCollector
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.settings import GatewaySettings
from tiercast_gateway.stats import stats_router
from tiercast_gateway.streams import Streams
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_gateway.token_api import token_router
from tiercast_gateway.trust import Trust
from tiercast_gateway.upstream import Upstream
from tiercast_gateway.upstream_metrics import UpstreamCollector
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.health import ReadinessChecks, health_router
from tiercast_shared.observability import get_logger, metrics_server
from tiercast_shared.runtime_metrics import ReadinessCollector, register_runtime
from tiercast_shared.serving import background, listening_socket, server_config
from tiercast_shared.web import install_error_handlers

VERSION = version("tiercast-gateway")

CORS: dict[str, Any] = {
    "allow_credentials": True,
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["Authorization", "If-None-Match", "Last-Event-ID"],
    "expose_headers": [
        "ETag",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-Tiercast-Cursor",
        "X-Tiercast-More",
        "X-Tiercast-Resync",
    ],
    "max_age": 600,
}
"""What pages of allowed origins may do when the gateway is another origin than theirs."""

GC_THRESHOLDS = (10_000, 10, 10)
"""Python's first is 700. A connection is some fifty objects and leaves no cycles behind, so looking for some finds none: while
thousands came back it took a tenth of the core and up to 0.1 s in one go."""

log = get_logger()


def _tell_eviction(user_id: str) -> None:
    """A sample: when many are evicted, whoever has the most of them is named soon."""
    log.warning("a user has too many connections, the oldest was closed", user_id=user_id, once_in=30)


class Gateway:
    """The parts of one replica, wired together; nothing connects before `run`."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.replica = f"{socket.gethostname()}-{settings.port}"
        self.registry = CollectorRegistry()
        self.metrics = GatewayMetrics(self.registry)
        service_key = settings.service_key.get_secret_value()
        self.ingest = IngestClient(settings.ingest_url, service_key)
        self.tiers_service = TiersClient(settings.tiers_url, service_key)
        self.trust = Trust(settings)
        cursors = CursorCodec(service_key)
        self.feed = SignalFeed(cursors, self._applied, capacity=settings.ring_capacity)
        self.hub = Hub(
            self.feed.rings,
            call_soon=lambda turn: asyncio.get_running_loop().call_soon(turn),
            on_round=self._written,
            on_overrun=lambda connection: self.sessions.overran(connection),  # noqa: PLW0108 - made below
        )
        self.missed = MissedSignals(self.ingest, self.feed, cursors, max_replay=settings.max_replay)
        self.tiers = TierCache(time.monotonic, self._tier_learnt, on_applied=self.metrics.tier_event_applied)
        self.tier_sync = TierSync(
            self.tiers_service,
            self.tiers,
            on_unknown=lambda user_id: self.sessions.tier_unknown(user_id),  # noqa: PLW0108 - made below
            connected_users=lambda: self.sessions.users,
            on_lookup=self.metrics.looked_up_users,
        )
        self.presence = Presence(self.replica, uuid.uuid4().hex[:8])
        self.limits = ConnectionLimits(self.presence, self._connection_limit, on_evicted=_tell_eviction)
        self.presence_exchange = PresenceExchange(settings.amqp_url.get_secret_value(), self.presence)
        self.sessions = Sessions(
            hub=self.hub,
            feed=self.feed,
            tiers=self.tiers,
            missed=self.missed,
            limits=self.limits,
            refill_needed=lambda: self.refill.needed(),  # noqa: PLW0108 - made below
            verify=self.trust.tokens.verify,
            keys=self.trust.keys,
            look_up=self.tier_sync.look_up,
            entitlements=settings.entitlements,
            heartbeat_seconds=settings.heartbeat_seconds,
            messages_per_second=settings.messages_per_second,
        )
        self.refill = SignalRefill(
            self.ingest, self.feed, on_loaded=self.sessions.feed_loaded, capacity=settings.ring_capacity
        )
        self.upstream = Upstream(
            self.feed,
            self.refill,
            self.tiers,
            self.tier_sync,
            on_stale=lambda stale: self.sessions.upstream_is(stale=stale),
            on_presence=self.limits.heard,
        )
        self.streams = Streams(self.feed, self.missed, self.tiers, self.limits)
        self.operations = Operations(
            presence=self.presence,
            feed=self.feed,
            tiers=self.tiers,
            upstream=self.upstream,
            metrics=self.metrics,
            dead_letters=self.ingest.dead_letters,
        )
        self.memory = MemoryReturn(forget=(self.tiers.forget_idle, self.trust.tokens.forget))
        self.drain = Drain(self.sessions, self.streams, seconds=settings.drain_seconds)
        self.consumer = EventConsumer(
            settings.amqp_url.get_secret_value(),
            self.upstream,
            replica=self.replica,
            on_restart=lambda reason: self.metrics.restarts.labels(reason).inc(),
        )
        self.delivery_times = DeliveryTimes({tier: entitled.feed for tier, entitled in settings.entitlements.items()})
        self.registry.register(self.delivery_times)
        self.registry.register(StateCollector(self.sessions, self.feed, self.tiers))
        self.edge = Edge(
            self.sessions,
            allowed_origins=settings.allowed_origins,
            refusal=lambda: self.drain.refusal() or (None if self.feed.started else "this replica is not ready yet"),
            limits=HandshakeLimits(settings.handshakes_per_second, settings.trusted_proxies),
        )
        self.requests = RequestLimits(settings.entitlements)
        self.registry.register(
            SessionCollector(self.edge.handshake, self.sessions, self.streams, self.limits, self.requests)
        )
        logs: dict[str, SignalRefill | TierSync] = {"signals": self.refill, "tiers": self.tier_sync}
        self.registry.register(UpstreamCollector(self.upstream, self.consumer, self.drain, logs=logs))
        register_runtime(self.registry, "gateway", VERSION)

    def checks(self) -> ReadinessChecks:
        """What must work before clients are sent here."""
        checks = ReadinessChecks()
        checks.add("draining", self.drain.refusal)
        checks.add("consumer", self.consumer.problem)
        checks.add("signal_feed", self.refill.problem)
        checks.add("tiers", self.tier_sync.problem)
        if self.trust.keys is not None:
            checks.add("keys", self.trust.keys.never_read)
        return checks

    def api(self, checks: ReadinessChecks) -> FastAPI:
        """The HTTP side."""
        app = FastAPI(
            title="Tiercast gateway",
            version=VERSION,
            description="Recent signals over HTTP; live ones at `/ws/signals`.",
        )
        install_error_handlers(app, challenge="Bearer")
        app.include_router(health_router(checks))
        app.include_router(stats_router(self.presence))
        callers = Callers(
            self.trust.credential,
            self.tiers,
            self.tier_sync,
            self.settings.entitlements,
            self.requests,
            remembered=self.trust.tokens.known,
        )
        history = History(self.feed, self.missed, self._feed_now, self.tiers.trusted)
        latest = Latest(history)
        app.include_router(signals_router(history, latest, self.streams, callers.of))
        app.include_router(ledger_router(self.ingest, self._feed_now, callers.of))
        audience, origins = self.settings.jwt_audience, self.settings.allowed_origins
        app.include_router(token_router(self.trust.exchange(self._revoked), audience=audience, allowed_origins=origins))
        app.include_router(ops_router(self.operations, self.trust.credential.of, self._revoked))
        if self.settings.dashboard_dir is not None:
            app.router.default = Dashboard(self.settings.dashboard_dir, app.router.default)
        app.add_middleware(Polling, callers=callers, latest=latest)
        app.add_middleware(RateLimitHeaders)
        self.metrics.http.install(app)
        app.add_middleware(CORSMiddleware, allow_origins=sorted(origins), **CORS)
        return app

    async def run(self) -> None:
        """Serve until told to stop."""
        settings, checks = self.settings, self.checks()
        self.registry.register(ReadinessCollector(checks))
        config = server_config(self.api(checks), host=settings.host, port=settings.port, ws=self.edge.protocol)
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(listening_socket(settings.host, settings.port))
            stack.enter_context(metrics_server(self.registry, host=settings.host, port=settings.metrics_port))
            stack.push_async_callback(self.ingest.close)
            stack.push_async_callback(self.tiers_service.close)
            stack.push_async_callback(self.trust.close)
            await stack.enter_async_context(
                background(
                    self.consumer.run,
                    self.presence_exchange.run,
                    self.operations.run,
                    self.refill.run,
                    self.tier_sync.run,
                    self.upstream.watch,
                    self.sessions.backfill.run,
                    *(keys.run for keys in self.trust.fetched),
                    lambda: sweep(self.sessions, self.streams, self.memory),
                    lambda: heartbeat(self.sessions),
                )
            )
            gc.freeze()  # what is there now stays: no collection needs to look at it
            gc.set_threshold(*GC_THRESHOLDS)
            log.info("gateway starting", port=settings.port, metrics_port=settings.metrics_port, replica=self.replica)
            await DrainingServer(config, self.drain).serve(sockets=[listener])
            log.info("gateway stopped", replica=self.replica)

    async def _revoked(self, identity: Identity) -> bool:
        await self.tier_sync.resolve(identity.user_id)
        return self.tiers.revoked(identity.user_id, identity.issued_at)

    def _connection_limit(self, user_id: str) -> int:
        """By the tier known last: what cannot be verified for a while takes no connection away."""
        tier = self.tiers.last_known(user_id)
        entitlements = self.settings.entitlements
        known = entitlements.values() if tier is None else (entitlements[tier],)
        return max(entitlement.max_connections for entitlement in known)

    def _feed_now(self, user_id: str) -> Feed:
        return self.settings.entitlements[self.tiers.tier_of(user_id)].feed

    def _applied(self, applied: Applied) -> None:
        self.metrics.applied(applied)
        self.hub.publish(applied)

    def _written(self, batch: list[Applied], deliveries: int) -> None:
        self.metrics.written(batch, deliveries)
        self.delivery_times.written(batch, self.sessions.by_tier, time.time())
        self.streams.news()
        for applied in batch:
            entry = applied.all.entry
            log.debug("signal delivered", correlation_id=entry.correlation_id, seq=entry.position)

    def _tier_learnt(self, user_id: str, before: KnownTier, known: KnownTier, reason: str) -> None:
        self.sessions.tier_learnt(user_id, before, known, reason)
        self.streams.sweep()
