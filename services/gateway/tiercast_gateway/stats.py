"""`/ws/stats`: how many are connected. Open to everyone, and says nothing about signals."""

from fastapi import APIRouter
from pydantic import BaseModel

from tiercast_gateway.sessions import Sessions
from tiercast_shared.contracts.tiers import Tier


class Stats(BaseModel):
    """Connection counts of this replica."""

    total_connections: int
    active_users: int
    users_by_tier: dict[Tier, int]


def stats_router(sessions: Sessions) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["statistics"])

    @router.get("/ws/stats")
    async def stats() -> Stats:
        """Open connections, users with at least one, and connections by tier."""
        by_tier = sessions.by_tier
        return Stats(total_connections=sum(by_tier.values()), active_users=len(sessions.users), users_by_tier=by_tier)

    return router
