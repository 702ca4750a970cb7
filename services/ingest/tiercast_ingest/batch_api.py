"""The HTTP API for producers who send many signals at once."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from tiercast_ingest.api import PREFIX, PROBLEMS
from tiercast_ingest.api_keys import ProducerKeys
from tiercast_ingest.domain import strict_json
from tiercast_ingest.domain.reasons import INVALID_JSON
from tiercast_ingest.domain.submission import from_json
from tiercast_ingest.intake import Intake, Origin
from tiercast_ingest.producer_limits import ProducerLimits
from tiercast_shared.contracts.submissions import BatchAnswer, BatchItem, FieldProblem, SignalSubmission
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.web import read_body

MAX_SIGNALS = 500
MAX_BATCH_BODY = 4 * 1024 * 1024
"""Bytes; 500 signals with long reasons."""

BATCH_PROBLEMS: dict[int | str, dict[str, Any]] = {code: PROBLEMS[code] for code in (401, 403, 413, 422, 429, 503)}


def batch_router(intake: Intake, keys: ProducerKeys, limits: ProducerLimits) -> APIRouter:
    """`POST …/signals`."""
    router = APIRouter(prefix=PREFIX, tags=["producers"])

    @router.post("/signals", response_model_exclude_none=True, responses=BATCH_PROBLEMS, openapi_extra=batch_schema())
    async def submit(request: Request, origin: Annotated[Origin, Depends(keys)]) -> BatchAnswer:
        """Store up to 500 signals; each is judged alone and answered in its place."""
        limits.check(origin.producer)
        try:
            values = _signals(strict_json.read(await read_body(request, MAX_BATCH_BODY)))
        except Rejected as error:
            intake.refuse(origin, error)
            raise
        taking = (_take(intake, limits, origin, index, value) for index, value in enumerate(values))
        return _answer(await asyncio.gather(*taking))

    return router


def batch_schema() -> dict[str, Any]:
    """What OpenAPI says of the body: an array of signals, or an object that holds one."""
    signals = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_SIGNALS,
        "items": SignalSubmission.model_json_schema(),
    }
    wrapped = {"type": "object", "properties": {"signals": signals}, "required": ["signals"]}
    content = {"application/json": {"schema": {"oneOf": [signals, wrapped]}}}
    return {"requestBody": {"required": True, "content": content}}


def _signals(value: object) -> list[object]:
    if isinstance(value, strict_json.Flawed):
        raise value.reason
    signals = value.get("signals") if isinstance(value, dict) else value
    if not isinstance(signals, list):
        raise Rejected.field("signals", "must be an array of signals", code=INVALID_JSON)
    if not 1 <= len(signals) <= MAX_SIGNALS:
        raise Rejected.field("signals", f"must hold 1 to {MAX_SIGNALS} signals, holds {len(signals)}")
    return signals


async def _take(
    intake: Intake, limits: ProducerLimits, origin: Origin, index: int, value: object
) -> BatchItem | Unavailable:
    try:
        limits.count(origin.producer)
        signal = from_json(value)
        stored = await intake.take(origin, signal)
    except Rejected as error:
        intake.refuse(origin, error)
        return _refused(index, error)
    except Unavailable as error:
        return error
    return BatchItem(
        index=index,
        status="duplicate" if stored.duplicate else "success",
        http_status=200 if stored.duplicate else 201,
        signal_id=signal.content.signal_id,
        external_signal_id=stored.wire_id,
    )


def _refused(index: int, error: Rejected) -> BatchItem:
    return BatchItem(
        index=index,
        status="rejected",
        http_status=error.status,
        code=error.code,
        detail=error.message,
        errors=[FieldProblem(field=field.field, message=field.message) for field in error.fields],
    )


def _answer(outcomes: Sequence[BatchItem | Unavailable]) -> BatchAnswer:
    """Put the outcomes together.

    Raises:
        Unavailable: nothing of the batch could be stored or judged.
    """
    if isinstance(outcomes[0], Unavailable) and all(isinstance(outcome, Unavailable) for outcome in outcomes):
        raise outcomes[0]
    results = [
        _postponed(index, outcome) if isinstance(outcome, Unavailable) else outcome
        for index, outcome in enumerate(outcomes)
    ]
    return BatchAnswer(
        results=results,
        accepted=sum(result.status == "success" for result in results),
        duplicates=sum(result.status == "duplicate" for result in results),
        rejected=sum(result.status == "rejected" for result in results),
        unavailable=sum(result.status == "unavailable" for result in results),
    )


def _postponed(index: int, error: Unavailable) -> BatchItem:
    return BatchItem(index=index, status="unavailable", http_status=error.status, code=error.code, detail=error.message)
