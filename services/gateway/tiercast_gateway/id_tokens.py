"""Id tokens of an OpenID Connect provider (OpenID Connect Core 1.0, section 3.1.3.7)."""

import time
from collections.abc import Callable

from tiercast_gateway.auth import Identity, check_audience, check_issuer, identity_of, point_in_time
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.signatures import Keys, signed_claims

ID_TOKEN = frozenset({"jwt"})


class IdTokens:
    """Checks id tokens that the provider `issuer` made for us, its client `client_id`."""

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        client_id: str,
        user_claim: str = "sub",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._client_id = client_id
        self._user_claim = user_claim
        self._clock = clock

    def read(self, token: str) -> Identity:
        """Whom it names.

        Raises:
            UnknownKey: it may be good once the provider's keys were read again.
            InvalidToken: it is malformed, forged, another client's, or over.
        """
        claims = signed_claims(token, [self._keys], ID_TOKEN)
        check_issuer(claims, self._issuer)
        check_audience(claims, self._client_id)
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise InvalidToken("the token was issued to another client")
        point_in_time(claims, "iat", required=True)
        if self._user_claim == "email" and claims.get("email_verified", True) not in {True, "true"}:
            raise InvalidToken("the token's claim email is not verified")
        return identity_of(claims, self._user_claim, self._clock())
