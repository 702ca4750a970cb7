"""Who calls over HTTP, and what they are entitled to at this moment."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.types import Scope

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


class Callers:
    """Says who calls and what they are entitled to now, and counts their requests."""

    def __init__(
        self,
        credential: Credential,
        tiers: TierCache,
        sync: TierSync,
        entitlements: Entitlements,
        requests: RequestLimits,
        *,
        remembered: Callable[[str], Identity | None] = lambda _token: None,
    ) -> None:
        self._credential = credential
        self._tiers = tiers
        self._sync = sync
        self._entitlements = entitlements
        self._requests = requests
        self._remembered = remembered

    async def of(self, request: Request) -> Caller:
        """A FastAPI dependency: who makes a request.

        Raises:
            Rejected: 401 unless it shows a valid token or session.
            TooManyRequests: above the tier's limit.
        """
        identity = await self._credential.of(request)
        tier = await self._sync.resolve(identity.user_id)
        if self._tiers.revoked(identity.user_id, identity.issued_at):
            raise Rejected(401, "revoked_token", "the token was revoked")
        return self._admitted(identity, tier, request.scope)

    def known(self, token: str, scope: Scope) -> Caller | None:
        """Who shows `token`, if that can be said without checking a signature or asking the tiers service; None for `of` to say.

        Raises:
            TooManyRequests: above the tier's limit.
        """
        identity = self._remembered(token)
        if identity is None or not self._tiers.trusted(identity.user_id):
            return None
        known = self._tiers.get(identity.user_id)
        if known is None or known.tokens_valid_after > identity.issued_at:
            return None
        return self._admitted(identity, known.tier, scope)

    def _admitted(self, identity: Identity, tier: Tier, scope: Scope) -> Caller:
        # what cannot be verified for a while slows nobody down
        limited_as = self._tiers.last_known(identity.user_id) or tier
        standing = self._requests.take(identity.user_id, limited_as)
        scope[KEY] = standing.headers
        if standing.refusal is not None:
            raise standing.refusal
        return Caller(identity.user_id, tier, self._entitlements[tier], identity.issued_at, identity.expires_at)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers["authorization"].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Rejected(401, "missing_token", NO_TOKEN)
    return token.strip()
