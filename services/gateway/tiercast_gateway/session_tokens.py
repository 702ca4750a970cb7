"""Session tokens that NextAuth 4 and Auth.js 5 keep in a cookie, encrypted with their secret.

NextAuth 4: JWE `dir` with A256GCM, 32 bytes of HKDF-SHA256 of the secret. Auth.js 5: `dir` with A256CBC-HS512 (or A256GCM), where
the cookie's name is the salt. Both cut a long token into cookies `name.0`, `name.1`, …
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from tiercast_gateway.auth import Identity, identity_of, point_in_time
from tiercast_gateway.errors import InvalidToken

AUTHJS_COOKIES = ("__Secure-authjs.session-token", "authjs.session-token")
NEXTAUTH_COOKIES = ("__Secure-next-auth.session-token", "next-auth.session-token")
COOKIES = (*AUTHJS_COOKIES, *NEXTAUTH_COOKIES)
"""In the order in which they are tried."""

MAX_LENGTH = 32 * 1024
MAX_PARTS = 16
KEY_BYTES = {"A256GCM": 32, "A256CBC-HS512": 64}


class SessionTokens:
    """Reads session tokens; `secrets` are the application's, the newest first."""

    def __init__(
        self, secrets: Sequence[str], *, user_claim: str = "sub", clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = [(encryption, key) for secret in secrets for encryption, key in _keys_of(secret)]
        self._user_claim = user_claim
        self._clock = clock

    def read(self, token: str) -> Identity:
        """Whom it names.

        Raises:
            InvalidToken: no secret opens it, or it is over.
        """
        if len(token) > MAX_LENGTH:
            raise InvalidToken("the session token is too long")
        claims = self._decrypted(token)
        point_in_time(claims, "iat", required=True)
        return identity_of(claims, self._user_claim, self._clock())

    def of_cookies(self, cookies: Mapping[str, str]) -> Identity | None:
        """Whom the first good session cookie names; None if there is no session cookie at all.

        Raises:
            InvalidToken: there are some, and none is good.
        """
        refusal: InvalidToken | None = None
        for token in session_cookies(cookies):
            try:
                return self.read(token)
            except InvalidToken as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        return None

    def _decrypted(self, token: str) -> dict[str, object]:
        for encryption, key in self._keys:
            try:
                plain = jwe.decrypt_compact(token, key, algorithms=["dir", encryption]).plaintext
                claims = orjson.loads(plain or b"")
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if isinstance(claims, dict):
                return claims
        raise InvalidToken("no secret of NEXTAUTH_SECRET opens the session token")


def session_cookies(cookies: Mapping[str, str]) -> Iterator[str]:
    """The session tokens among a request's cookies, put together where they came in parts."""
    for name in COOKIES:
        if name in cookies:
            yield cookies[name]
        parts: list[str] = []
        while len(parts) < MAX_PARTS and (part := cookies.get(f"{name}.{len(parts)}")) is not None:
            parts.append(part)
        if parts:
            yield "".join(parts)


def _keys_of(secret: str) -> Iterator[tuple[str, OctKey]]:
    """Every key that an application with this secret may encrypt with, and the encryption that it is for."""
    for encryption in ("A256CBC-HS512", "A256GCM"):
        for name in AUTHJS_COOKIES:
            yield encryption, _derived(secret, encryption, name, f"Auth.js Generated Encryption Key ({name})")
    yield "A256GCM", _derived(secret, "A256GCM", "", "NextAuth.js Generated Encryption Key")


def _derived(secret: str, encryption: str, salt: str, info: str) -> OctKey:
    length = KEY_BYTES[encryption]
    return OctKey.import_key(HKDF(hashes.SHA256(), length, salt.encode(), info.encode()).derive(secret.encode()))
