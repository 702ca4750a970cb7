"""The HTTP API for producers: one signal at a time. `batch_api` takes many."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response, status
from pydantic import BaseModel

from tiercast_ingest.api_keys import ProducerKeys
from tiercast_ingest.domain.submission import MAX_BODY, parse
from tiercast_ingest.intake import Intake, Origin
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_shared.contracts.submissions import SignalSubmission, SubmissionAnswer
from tiercast_shared.errors import Rejected
from tiercast_shared.health import Check
from tiercast_shared.web import Problem, json_body_schema, read_body

PREFIX = "/api/v1/external-signals/sync"

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The hash is not that of the content"},
    401: {"model": Problem, "description": "The key is missing or wrong"},
    403: {"model": Problem, "description": "The producer is disabled"},
    409: {"model": Problem, "description": "The producer has used this `signal_id` for another content"},
    413: {"model": Problem, "description": "The body is too large"},
    422: {"model": Problem, "description": "Fields are wrong, and named"},
    429: {"model": Problem, "description": "The producer sends too much: repeat after `Retry-After` seconds"},
    503: {"model": Problem, "description": "It cannot be stored now: repeat after `Retry-After` seconds"},
}


class SyncHealth(BaseModel):
    """Whether signals are taken now."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None


def signal_router(intake: Intake, keys: ProducerKeys, limits: ProducerLimits) -> APIRouter:
    """`POST …/signal`."""
    router = APIRouter(prefix=PREFIX, tags=["producers"])

    @router.post(
        "/signal",
        status_code=status.HTTP_201_CREATED,
        responses={200: {"model": SubmissionAnswer, "description": "The signal was in the log already"}, **PROBLEMS},
        openapi_extra=json_body_schema(SignalSubmission),
    )
    async def submit(
        request: Request, response: Response, origin: Annotated[Origin, Depends(keys)]
    ) -> SubmissionAnswer:
        """Store one signal. Repeating it is safe: it is answered as a duplicate."""
        limits.count(origin.producer)
        try:
            signal = parse(await read_body(request, MAX_BODY))
            stored = await intake.take(origin, signal)
        except Rejected as error:
            intake.refuse(origin, error)
            raise
        if stored.duplicate:
            response.status_code = status.HTTP_200_OK
        return SubmissionAnswer(
            status="duplicate" if stored.duplicate else "success",
            signal_id=signal.content.signal_id,
            external_signal_id=stored.wire_id,
        )

    return router


def sync_health_router(database: Check) -> APIRouter:
    """`GET …/health`, which needs no key."""
    router = APIRouter(prefix=PREFIX, tags=["producers"])

    @router.get("/health", responses={503: {"model": SyncHealth}})
    async def health(response: Response) -> SyncHealth:
        """Whether signals are taken now."""
        problem = database()
        if problem is None:
            return SyncHealth(status="ok")
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return SyncHealth(status="unavailable", detail=problem)

    return router
