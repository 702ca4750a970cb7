"""What tests of the tiers service share."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.chain import GENESIS, link
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_shared.health import ReadinessChecks
from tiercast_shared.serving import background
from tiercast_tiers.app import http_app
from tiercast_tiers.billing_writer import BillingWriter
from tiercast_tiers.domain import Change, Origin, Outcome, SetTier, UserState
from tiercast_tiers.metrics import TiersMetrics
from tiercast_tiers.settings import TiersSettings
from tiercast_tiers.store import TierStore
from tiercast_tiers.tables import TierLogEntry
from tiercast_tiers.writer import TierLogWriter

ORIGIN = Origin(actor="ops", correlation_id="c-1", received_at=1_795_403_760.0)


def set_tier(user_id: str, tier: Tier, reason: str = "paid") -> SetTier:
    return SetTier(user_id, tier, reason, ORIGIN)


def replay(entries: Iterable[TierLogEntry]) -> dict[str, UserState]:
    """The users as the log's bodies alone tell them."""
    users: dict[str, UserState] = {}
    for entry in entries:
        event = json.loads(entry.body)
        user = users.get(event["user_id"], UserState())
        if event["type"] == "tier.changed":
            state = UserState(Tier(event["tier"]), event["version"], event["changed_at"], user.tokens_valid_after)
        else:
            state = UserState(user.tier, user.version, user.changed_at, event["tokens_valid_after"])
        users[event["user_id"]] = state
    return users


def assert_sound(entries: Sequence[TierLogEntry]) -> None:
    """The entries, from the first one on, are numbered without a gap, say so in their bodies, and are chained."""
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    chain = GENESIS
    for entry in entries:
        assert json.loads(entry.body)["seq"] == entry.seq
        chain = link(chain, entry.body)
        assert entry.chain == chain


ADMIN_KEY = "an-admin-key-of-enough-length"
SERVICE_KEY = "a-service-key-of-enough-length"
ADMIN = {"X-Admin-Key": ADMIN_KEY}
SERVICE = {"X-Service-Key": SERVICE_KEY}


@asynccontextmanager
async def api_client(
    database: Database, registry: CollectorRegistry | None = None, **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """The whole HTTP application over `database`, without a network and without a broker; `more` are settings by their fields."""
    settings = TiersSettings(
        database_url=SecretStr("unused"),
        amqp_url=SecretStr("unused"),
        admin_key=SecretStr(ADMIN_KEY),
        service_key=SecretStr(SERVICE_KEY),
        **more,
    )
    store, metrics = TierStore(database), TiersMetrics(registry or CollectorRegistry())
    writer = BatchWriter[Change, Outcome](TierLogWriter(database, lambda _head, _events: None).commit)
    billing = BillingWriter(database, lambda _head, _events: None, settings.stripe_prices, settings.grace_days)
    app = http_app(settings, store, writer.submit, billing, ReadinessChecks(), metrics=metrics)
    transport = httpx.ASGITransport(app)
    async with background(writer.run), httpx.AsyncClient(transport=transport, base_url="http://tiers") as client:
        yield client
