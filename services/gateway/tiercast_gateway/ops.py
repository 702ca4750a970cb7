"""`GET /api/v1/ops/summary`: how the system does, for who operates it (a token with scope `ops`)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from tiercast_gateway.auth import Identity
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.metrics import GatewayMetrics
from tiercast_gateway.presence import Presence
from tiercast_gateway.recent import HopTimes, Recent, Sample
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.upstream import Upstream
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.web import Problem

SCOPE = "ops"
SAMPLE_SECONDS = 1.0


class LogState(BaseModel):
    """How far this replica is with one log."""

    epoch: str
    head: int = Field(description="Last position known to be published.")
    applied: int = Field(description="Last position applied here.")
    missing: int


class OpsSummary(BaseModel):
    """Connections of all replicas; everything else of the replica that answers."""

    replica: str
    at: float = Field(description="Unix seconds.")
    connections: dict[str, dict[Tier, int]] = Field(description="Open ones by replica and tier.")
    users: int = Field(description="Users with a connection to any replica.")
    signals_per_second: float = Field(description="Over the last ten seconds.")
    hops: dict[str, HopTimes] = Field(description="Time that signals took, over the last minute.")
    logs: dict[str, LogState]
    stale: bool = Field(description="Ingest is silent.")
    silent_seconds: float = Field(description="Since ingest's last beacon.")
    dead_letters: int | None = Field(description="Messages waiting for a person; null when ingest cannot be asked.")


class Operations:
    """Gathers the summary from the gateway's parts; `run` samples their counters."""

    def __init__(
        self,
        *,
        presence: Presence,
        feed: SignalFeed,
        tiers: TierCache,
        upstream: Upstream,
        metrics: GatewayMetrics,
        dead_letters: Callable[[], Awaitable[int]],
    ) -> None:
        self._presence = presence
        self._feed = feed
        self._tiers = tiers
        self._upstream = upstream
        self._metrics = metrics
        self._dead_letters = dead_letters
        self._recent = Recent()

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            signals, hops = self._metrics.counted()
            self._recent.add(Sample(time.monotonic(), signals, hops))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def summary(self) -> OpsSummary:
        """Of this moment."""
        try:
            dead: int | None = await self._dead_letters()
        except Unavailable:
            dead = None
        feed, tiers = self._feed, self._tiers
        return OpsSummary(
            replica=self._presence.replica,
            at=time.time(),
            connections=self._presence.by_replica(),
            users=self._presence.active_users(cluster=True),
            signals_per_second=self._recent.signals_per_second(),
            hops=self._recent.hops(),
            logs={
                "signals": _state(feed.epoch, feed.known_head, feed.head),
                "tiers": _state(tiers.epoch, tiers.known_head, tiers.applied),
            },
            stale=self._upstream.stale,
            silent_seconds=self._upstream.silent_seconds,
            dead_letters=dead,
        )


def ops_router(
    operations: Operations,
    identify: Callable[[Request], Awaitable[Identity]],
    revoked: Callable[[Identity], Awaitable[bool]],
) -> APIRouter:
    """The one route."""
    router = APIRouter(prefix="/api/v1/ops", tags=["operations"])

    async def operator(request: Request) -> Identity:
        identity = await identify(request)
        if await revoked(identity):
            raise Rejected(401, "revoked_token", "the token was revoked")
        if SCOPE not in identity.scopes:
            raise Rejected(403, "missing_scope", f"the token lacks the scope {SCOPE}")
        return identity

    @router.get("/summary", responses={status: {"model": Problem} for status in (401, 403, 503)})
    async def summary(_operator: Annotated[Identity, Depends(operator)]) -> OpsSummary:
        """How the system does at this moment."""
        return await operations.summary()

    return router


def _state(epoch: str | None, head: int, applied: int) -> LogState:
    return LogState(epoch=epoch or "", head=head, applied=applied, missing=max(0, head - applied))
