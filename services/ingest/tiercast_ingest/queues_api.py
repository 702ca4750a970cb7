"""How many messages wait in the broker, as other services read it (key in `X-Service-Key`)."""

from collections.abc import Callable

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, SecretStr

from tiercast_ingest.consumer import QueueLengths
from tiercast_shared.web import Problem, require_key


class Queues(BaseModel):
    """Messages when the consumer last looked, a few seconds ago at most."""

    inbound: int = Field(description="In `signals.inbound`, taken by no consumer.")
    dead: int = Field(description="In `signals.dead`, waiting for a person.")


def queues_router(lengths: Callable[[], QueueLengths], service_key: SecretStr) -> APIRouter:
    """`GET /api/v1/queues`."""
    key = Depends(require_key("X-Service-Key", service_key))
    router = APIRouter(prefix="/api/v1", tags=["services"], dependencies=[key], responses={401: {"model": Problem}})

    @router.get("/queues")
    async def queues() -> Queues:
        """From memory: the broker is not asked."""
        now = lengths()
        return Queues(inbound=now.inbound, dead=now.dead)

    return router
