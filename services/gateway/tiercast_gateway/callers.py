"""Who calls over HTTP, and what they are entitled to at this moment."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from tiercast_gateway.auth import Identity
from tiercast_gateway.entitlements import Entitlement, Entitlements
from tiercast_gateway.errors import CrossSite, InvalidToken
from tiercast_gateway.rate_limit_headers import KEY
from tiercast_gateway.renewal import Renewable, verified
from tiercast_gateway.request_limits import RequestLimits
from tiercast_gateway.session_tokens import SessionTokens
from tiercast_gateway.sites import check_site
from tiercast_gateway.tier_cache import TierCache
from tiercast_gateway.tier_sync import TierSync
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Rejected

NO_TOKEN = "header Authorization must be: Bearer <token>"  # noqa: S105 - what is said when there is none


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller."""

    user_id: str
    tier: Tier
    entitlement: Entitlement
    issued_at: float
    expires_at: float
    """Of the token, Unix seconds."""


class Credential:
    """What a request shows: a bearer token or, from pages of allowed origins, the application's session cookie."""

    def __init__(
        self,
        verify: Callable[[str], Identity],
        *,
        keys: Renewable | None = None,
        sessions: SessionTokens | None = None,
        allowed_origins: frozenset[str] = frozenset(),
    ) -> None:
        self._verify = verify
        self._keys = keys
        self._sessions = sessions
        self._allowed_origins = allowed_origins

    async def of(self, request: Request) -> Identity:
        """Who shows it.

        Raises:
            Rejected: 401 without a good one, 403 for a page of another site.
            Unavailable: the keys of its issuer cannot be read.
        """
        try:
            if "authorization" in request.headers:
                return await verified(self._verify, _bearer(request), self._keys)
            identity = self._of_cookies(request)
        except InvalidToken as error:
            raise Rejected(401, "invalid_token", str(error)) from None
        except CrossSite as error:
            raise Rejected(403, "cross_site", str(error)) from None
        if identity is None:
            raise Rejected(401, "missing_token", NO_TOKEN)
        return identity

    def _of_cookies(self, request: Request) -> Identity | None:
        if self._sessions is None or "cookie" not in request.headers:
            return None
        check_site(request.headers, self._allowed_origins)
        return self._sessions.of_cookies(request.cookies)


def caller_dependency(
    credential: Credential, tiers: TierCache, sync: TierSync, entitlements: Entitlements, requests: RequestLimits
) -> Callable[[Request], Awaitable[Caller]]:
    """A FastAPI dependency that answers 401 unless the request shows a valid token or session, and 429 above the tier's limit."""

    async def caller(request: Request) -> Caller:
        identity = await credential.of(request)
        tier = await sync.resolve(identity.user_id)
        if tiers.revoked(identity.user_id, identity.issued_at):
            raise Rejected(401, "revoked_token", "the token was revoked")
        limited_as = tiers.last_known(identity.user_id) or tier  # what cannot be verified for a while slows nobody down
        taken = requests.take(identity.user_id, limited_as)
        request.scope[KEY] = requests.headers(identity.user_id, limited_as)
        if not taken:
            raise requests.refusal(identity.user_id, limited_as)
        return Caller(identity.user_id, tier, entitlements[tier], identity.issued_at, identity.expires_at)

    return caller


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers["authorization"].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Rejected(401, "missing_token", NO_TOKEN)
    return token.strip()
