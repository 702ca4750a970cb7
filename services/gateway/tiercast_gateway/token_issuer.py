"""Tokens that the gateway makes itself, in exchange for others."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tiercast_gateway.auth import Identity
from tiercast_gateway.signatures import OwnKeys


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token for this gateway, and for how long it is good, in seconds."""

    token: str
    expires_in: int


class TokenIssuer:
    """Signs tokens that `TokenVerifier` accepts on every replica."""

    def __init__(
        self,
        keys: OwnKeys,
        *,
        issuer: str | None,
        audience: str | None,
        user_claim: str,
        lifetime: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._fixed = {name: value for name, value in (("iss", issuer), ("aud", audience)) if value is not None}
        self._user_claim = user_claim
        self._lifetime = lifetime
        self._clock = clock

    def issue(self, subject: Identity) -> IssuedToken:
        """A token for whom a good subject token names.

        It ends no later than that one, and keeps its `iat`: a revocation that voids one voids the other.
        """
        now = int(self._clock())
        expires_at = min(now + self._lifetime, int(subject.expires_at))
        claims = {self._user_claim: subject.user_id, "iat": int(subject.issued_at), "exp": expires_at, **self._fixed}
        return IssuedToken(self._keys.sign(claims), max(0, expires_at - now))
