"""The API for people and back offices that read and set tiers (key in `X-Admin-Key`)."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import SecretStr
from starlette.convertors import Convertor, register_url_convertor

from tiercast_shared.contracts.tiers import UserId
from tiercast_shared.correlation import correlation_id
from tiercast_shared.observability import get_logger
from tiercast_shared.web import Problem, json_body, json_body_schema, require_key
from tiercast_tiers.api_models import (
    Actor,
    Reason,
    SessionsRevokedAnswer,
    SetTierRequest,
    TierHistory,
    TierHistoryItem,
    TierSetAnswer,
    UserTier,
)
from tiercast_tiers.domain import REVOKED, Change, Origin, Outcome, RevokeSessions, SessionsRevoked, SetTier, TierSet
from tiercast_tiers.metrics import TiersMetrics
from tiercast_tiers.store import TierStore

BODY_LIMIT = 64 * 1024
MAX_POSITION = 2**53
"""Positions are JSON numbers, and larger ones are not exact in every reader."""

PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 413, 422, 503)}

Submit = Callable[[Change], Awaitable[Outcome]]
"""Returns when the change is committed; `BatchWriter.submit` in production."""

log = get_logger()


class AnyText(Convertor[str]):
    """A user id in a path: anything, slashes and line breaks included; `UserId` then says precisely what is wrong."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        """From the path."""
        return value

    def to_string(self, value: str) -> str:
        """To a path."""
        return value


register_url_convertor("anytext", AnyText())

User = Annotated[UserId, Path(description="As the identity provider names them, percent-encoded.")]


def origin(
    request: Request,
    who: Annotated[Actor, Header(alias="X-Actor", description="Who makes the change, for the log.")] = "admin",
) -> Origin:
    """Where a change comes from."""
    return Origin(who, correlation_id(request), time.time())


ChangeOrigin = Annotated[Origin, Depends(origin)]


def admin_router(store: TierStore, submit: Submit, metrics: TiersMetrics, key: SecretStr) -> APIRouter:
    """The routes under `/api/v1/users/{user_id}`."""
    router = APIRouter(
        prefix="/api/v1/users/{user_id:anytext}",
        tags=["admin"],
        dependencies=[Depends(require_key("X-Admin-Key", key))],
        responses=PROBLEMS,
    )

    @router.get("/tier/history")
    async def get_history(
        user_id: User,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=1, le=MAX_POSITION, description="Only versions below this.")] = None,
    ) -> TierHistory:
        """A user's changes of tier, newest first."""
        found = await store.history(user_id, before=before, limit=limit + 1)
        page, more = found[:limit], len(found) > limit
        items = [TierHistoryItem.of(entry) for entry in page]
        return TierHistory(user_id=user_id, changes=items, next_before=page[-1].seq if more else None)

    @router.get("/tier")
    async def get_tier(user_id: User) -> UserTier:
        """A user's tier now."""
        return UserTier.of(user_id, await store.user(user_id))

    @router.put("/tier", openapi_extra=json_body_schema(SetTierRequest))
    async def set_tier(
        user_id: User,
        origin: ChangeOrigin,
        body: Annotated[SetTierRequest, Depends(json_body(SetTierRequest, BODY_LIMIT))],
    ) -> TierSetAnswer:
        """Give a user a tier; live connections follow at once."""
        outcome = await submit(SetTier(user_id, body.tier, body.reason, origin))
        assert isinstance(outcome, TierSet)
        if outcome.changed:
            metrics.changed(body.tier)
            log.info(
                "tier changed",
                user_id=user_id,
                previous_tier=outcome.previous_tier,
                tier=body.tier,
                version=outcome.state.version,
                reason=body.reason,
                actor=origin.actor,
            )
        return TierSetAnswer.of(outcome)

    @router.delete("/sessions")
    async def revoke_sessions(
        user_id: User,
        origin: ChangeOrigin,
        reason: Annotated[Reason, Query(description="Why, for the log.")] = REVOKED,
    ) -> SessionsRevokedAnswer:
        """Make void every token that the user holds now; live connections are closed."""
        outcome = await submit(RevokeSessions(user_id, origin, reason))
        assert isinstance(outcome, SessionsRevoked)
        metrics.revocations.inc()
        log.info("sessions revoked", user_id=user_id, seq=outcome.seq, reason=reason, actor=origin.actor)
        return SessionsRevokedAnswer.of(outcome)

    return router
