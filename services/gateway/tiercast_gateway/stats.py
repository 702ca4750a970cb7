"""`/ws/stats`: how many are connected. Open to everyone, and says nothing about signals."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from tiercast_gateway.presence import Presence
from tiercast_shared.contracts.tiers import Tier


class Stats(BaseModel):
    """Connection counts of this replica, or of all."""

    total_connections: int
    active_users: int
    users_by_tier: dict[Tier, int]


def stats_router(presence: Presence) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["statistics"])

    @router.get("/ws/stats")
    async def stats(scope: Literal["replica", "cluster"] = "replica") -> Stats:
        """Open connections, streams included, users with at least one, and connections by tier; of this replica, or of all."""
        cluster = scope == "cluster"
        by_tier = presence.by_tier(cluster=cluster)
        return Stats(
            total_connections=sum(by_tier.values()),
            active_users=presence.active_users(cluster=cluster),
            users_by_tier=by_tier,
        )

    return router
