"""Who calls over HTTP, and what they are entitled to at this moment."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from tiercast_gateway.auth import Identity
from tiercast_gateway.entitlements import Entitlement, Entitlements
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Rejected


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    user_id: str
    tier: Tier
    entitlement: Entitlement
    issued_at: float
    expires_at: float
    """Of the token, Unix seconds."""


def caller_dependency(
    verify: Callable[[str], Identity], tiers: TierCache, sync: TierSync, entitlements: Entitlements
) -> Callable[[Request], Awaitable[Caller]]:
    """A FastAPI dependency that answers 401 unless the request bears a valid token."""

    async def caller(request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Rejected(401, "missing_token", "header Authorization must be: Bearer <token>")
        try:
            identity = verify(token.strip())
        except InvalidToken as error:
            raise Rejected(401, "invalid_token", str(error)) from None
        tier = await sync.resolve(identity.user_id)
        if tiers.revoked(identity.user_id, identity.issued_at):
            raise Rejected(401, "revoked_token", "the token was revoked")
        return Caller(identity.user_id, tier, entitlements[tier], identity.issued_at, identity.expires_at)

    return caller
