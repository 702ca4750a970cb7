"""Tiercast as a whole, each service a process of its own."""

import json
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from aio_pika.abc import AbstractIncomingMessage
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.clients import SocketClient
from tests.support.dead_letters import take_dead_letter
from tests.support.http import async_http
from tests.support.producers import AmqpProducer, publish_fast
from tests.support.services import Service

ISSUER = "https://issuer.test"
AUDIENCE = "tiercast-test"
ORIGIN = "https://app.test"
PRODUCER = "demo"


class Stack:
    """Ingest, tiers and some gateways on one broker; `settings` are given to all of them.

    The databases are SQLAlchemy URLs. Nothing here belongs to an event loop, so a stack may serve many tests.
    """

    def __init__(
        self,
        directory: Path,
        *,
        amqp_url: str,
        ingest_database: str,
        tiers_database: str,
        gateways: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.amqp_url = amqp_url
        self.ingest_database = ingest_database
        self.tiers_database = tiers_database
        self.api_key = secrets.token_urlsafe(24)
        self.admin_key = secrets.token_urlsafe(24)
        self.service_key = secrets.token_urlsafe(24)
        self.jwt_secret = secrets.token_urlsafe(48)
        shared = {"AMQP_URL": amqp_url, "SERVICE_KEY": self.service_key, "LOG_FORMAT": "json", **(settings or {})}
        own = {
            "INGEST_DATABASE_URL": ingest_database,
            "INGEST_API_KEYS": json.dumps({PRODUCER: self.api_key}),
            "INGEST_TRUSTED_PUBLISHERS": urlsplit(amqp_url).username or "guest",
        }
        self.ingest = Service("ingest", own | shared, directory / "ingest.log")
        own = {"TIERS_DATABASE_URL": tiers_database, "TIERS_ADMIN_KEY": self.admin_key}
        self.tiers = Service("tiers", own | shared, directory / "tiers.log")
        own = {
            "INGEST_URL": self.ingest.url,
            "TIERS_URL": self.tiers.url,
            "GATEWAY_JWT_SECRET": self.jwt_secret,
            "GATEWAY_JWT_ISSUER": ISSUER,
            "GATEWAY_JWT_AUDIENCE": AUDIENCE,
            "GATEWAY_ALLOWED_ORIGINS": ORIGIN,
        }
        self.gateways = [
            Service("gateway", own | shared, directory / f"gateway-{number}.log") for number in range(gateways)
        ]

    @property
    def services(self) -> list[Service]:
        """All replicas, owners first."""
        return [self.ingest, self.tiers, *self.gateways]

    @property
    def gateway(self) -> Service:
        """The first gateway."""
        return self.gateways[0]

    def start(self) -> None:
        """Migrate both databases, start everything side by side and block until all are ready."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda service: service.command("migrate"), [self.ingest, self.tiers]))
        for service in self.services:
            service.spawn()
        for service in self.services:
            service.wait_ready()

    def stop(self) -> None:
        """End everything, in order where it obeys."""
        running = [service for service in self.services if service.alive()]
        for service in running:
            service.resume()
            service.terminate()
        for service in running:
            service.stop()

    def token(self, user: str, **claims: Any) -> str:
        """Return a token that the gateways accept; `claims` replace its usual ones, None leaves one out."""
        now = int(time.time())
        usual = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600}
        present = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": "HS256"}, present, OctKey.import_key(self.jwt_secret))

    async def set_tier(self, user: str, tier: str, reason: str = "test") -> httpx.Response:
        """Set a user's tier through the tiers API."""
        async with async_http(base_url=self.tiers.url, timeout=10) as http:
            response = await http.put(
                f"/api/v1/users/{user}/tier",
                json={"tier": tier, "reason": reason},
                headers={"X-Admin-Key": self.admin_key},
            )
        return response.raise_for_status()

    def producer_http(self, timeout: float = 30) -> httpx.AsyncClient:
        """Return an HTTP client of ingest with the producer's key; an async context manager."""
        return async_http(base_url=self.ingest.url, headers={"X-API-Key": self.api_key}, timeout=timeout)

    async def publish(self, submission: Mapping[str, object]) -> httpx.Response:
        """Submit one signal over HTTP and return ingest's answer, whatever it is."""
        async with self.producer_http() as http:
            return await http.post("/api/v1/external-signals/sync/signal", json=submission)

    async def publish_all(self, submissions: list[dict[str, object]]) -> None:
        """Submit signals over HTTP in bulk, in order; each must be accepted."""
        async with self.producer_http() as http:
            for start in range(0, len(submissions), 500):
                batch = submissions[start : start + 500]
                response = await http.post("/api/v1/external-signals/sync/signals", json={"signals": batch})
                assert response.json().get("accepted") == len(batch), response.text

    async def publish_over_amqp(self, submissions: list[dict[str, object]]) -> None:
        """Publish to the inbound exchange as fast as the broker confirms, in order."""
        await publish_fast(self.amqp_url, submissions, producer=PRODUCER)

    async def dead_letter(self, message_id: str, within: float = 10) -> AbstractIncomingMessage:
        """Wait for the dead letter with this id and take it off the queue."""
        return await take_dead_letter(self.amqp_url, message_id, within)

    def amqp_producer(self) -> AmqpProducer:
        """Return a producer over AMQP; a context manager."""
        return AmqpProducer(self.amqp_url)

    def client(self, user: str, *, gateway: int = 0, token: str | None = None, **options: Any) -> SocketClient:
        """Return a WebSocket client for a user, not yet connected; `options` are `SocketClient`'s."""
        url = f"ws://{self.gateways[gateway].url.removeprefix('http://')}/ws/signals"
        return SocketClient(url, self.token(user) if token is None else token, **options)

    def gateway_http(self, user: str | None = None, *, gateway: int = 0) -> httpx.AsyncClient:
        """Return an HTTP client of a gateway, with a user's token if one is named; an async context manager."""
        headers = {"Authorization": f"Bearer {self.token(user)}"} if user else {}
        return async_http(base_url=self.gateways[gateway].url, headers=headers, timeout=10)
