"""Who a token speaks for. The tier is never read from it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tiercast_gateway.errors import InvalidToken

LEEWAY_SECONDS = 15
"""Clocks of issuer and gateway may differ by this much."""

MAX_TOKEN_LENGTH = 8192


@dataclass(frozen=True, slots=True)
class Identity:
    """The bearer of a token."""

    user_id: str
    issued_at: float
    expires_at: float
    """Unix seconds, the leeway included."""
    scopes: frozenset[str] = frozenset()


class TokenVerifier:
    """Checks HS256 tokens (RFC 7519) against one secret, issuer and audience."""

    def __init__(
        self,
        secret: str,
        *,
        issuer: str | None,
        audience: str | None,
        user_claim: str = "sub",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = OctKey.import_key(secret)
        self._issuer = issuer
        self._audience = audience
        self._user_claim = user_claim
        self._clock = clock

    def verify(self, token: str) -> Identity:
        """Who `token` speaks for.

        Raises:
            InvalidToken: it is malformed, forged, for somebody else, not valid yet, or over. Its text is safe to show and to log.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken("the token is too long")
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise InvalidToken("the token is malformed, or its signature or algorithm is wrong") from None
        self._check_addressee(claims)
        return self._identity(claims)

    def _check_addressee(self, claims: dict[str, Any]) -> None:
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise InvalidToken("the token was made by another issuer")
        if self._audience is not None:
            audience = claims.get("aud")
            if self._audience not in (audience if isinstance(audience, list) else [audience]):
                raise InvalidToken("the token is meant for another audience")

    def _identity(self, claims: dict[str, Any]) -> Identity:
        now = self._clock()
        expires_at = _time(claims, "exp", required=True) + LEEWAY_SECONDS
        if expires_at <= now:
            raise InvalidToken("the token has expired")
        if _time(claims, "nbf") - LEEWAY_SECONDS > now:
            raise InvalidToken("the token is not valid yet")
        issued_at = _time(claims, "iat")
        if issued_at - LEEWAY_SECONDS > now:
            raise InvalidToken("the token was issued in the future")
        user_id = claims.get(self._user_claim)
        if not isinstance(user_id, str) or not 0 < len(user_id) <= 255 or not user_id.isprintable():
            raise InvalidToken(f"the token's claim {self._user_claim} names no user")
        scope = claims.get("scope", "")
        return Identity(
            user_id, issued_at, expires_at, frozenset(scope.split()) if isinstance(scope, str) else frozenset()
        )


def _time(claims: dict[str, Any], name: str, *, required: bool = False) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise InvalidToken(f"the token's claim {name} is no point in time")
    return float(value)
