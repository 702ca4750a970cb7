"""Who a token speaks for. The tier is never read from it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.signatures import Keys, signed_claims

LEEWAY_SECONDS = 15
"""An issuer's clock may be ahead of the gateway's by this much. A token's end is exact: nothing outlives its token."""


NO_SCOPES: frozenset[str] = frozenset()
"""One for all: an empty set takes 216 bytes, and thousands of identities are remembered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The bearer of a token."""

    user_id: str
    issued_at: float
    """What a revocation is compared with, Unix seconds; 0 if the token does not say, so that any revocation voids it."""
    expires_at: float
    """Unix seconds."""
    scopes: frozenset[str] = NO_SCOPES


class TokenVerifier:
    """Checks bearer tokens (RFC 7519): signed by one of `keys`, by the issuer, for the audience, for now."""

    def __init__(
        self,
        keys: Sequence[Keys],
        *,
        issuer: str | None,
        audience: str | None,
        user_claim: str = "sub",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._user_claim = user_claim
        self._clock = clock

    def verify(self, token: str) -> Identity:
        """Who `token` speaks for.

        Raises:
            UnknownKey: it may be good once its issuer's keys were read again.
            InvalidToken: it is malformed, forged, for somebody else, not valid yet, or over. Its text is safe to show and to log.
        """
        claims = signed_claims(token, self._keys)
        if self._issuer is not None:
            check_issuer(claims, self._issuer)
        if self._audience is not None:
            check_audience(claims, self._audience)
        return identity_of(claims, self._user_claim, self._clock())


def check_issuer(claims: dict[str, Any], issuer: str) -> None:
    """Refuse (InvalidToken) what somebody else has made."""
    if claims.get("iss") != issuer:
        raise InvalidToken("the token was made by another issuer")


def check_audience(claims: dict[str, Any], audience: str) -> None:
    """Refuse (InvalidToken) what is meant for somebody else only."""
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise InvalidToken("the token is meant for another audience")


def identity_of(claims: dict[str, Any], user_claim: str, now: float) -> Identity:
    """Whom claims that are to be trusted name, if they are valid `now` (else InvalidToken)."""
    expires_at = point_in_time(claims, "exp", required=True)
    if expires_at <= now:
        raise InvalidToken("the token has expired")
    if point_in_time(claims, "nbf") - LEEWAY_SECONDS > now:
        raise InvalidToken("the token is not valid yet")
    issued_at = point_in_time(claims, "iat")
    if issued_at - LEEWAY_SECONDS > now:
        raise InvalidToken("the token was issued in the future")
    user_id = claims.get(user_claim)
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 255 or not user_id.isprintable():
        raise InvalidToken(f"the token's claim {user_claim} names no user")
    scope = claims.get("scope", "")
    scopes = frozenset(scope.split()) if isinstance(scope, str) and scope.strip() else NO_SCOPES
    return Identity(user_id, issued_at, expires_at, scopes)


def point_in_time(claims: dict[str, Any], name: str, *, required: bool = False) -> float:
    """A claim in Unix seconds, 0 if it is not there and not `required`; InvalidToken if it is no such thing."""
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise InvalidToken(f"the token's claim {name} is no point in time")
    return float(value)
