"""Signed tokens (JWS, RFC 7515) and the keys that are trusted for them.

Each key is good for one algorithm, which is derived from the key and never from the token. Key addresses inside tokens (`jku`,
`x5u`, `jwk`, `x5c`) are not looked at.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from tiercast_gateway.errors import InvalidToken, UnknownKey

ALGORITHMS = frozenset({"HS256", "RS256", "ES256"})
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Values of `typ` that a bearer token may have, besides none; a logout token or a security event is signed by the same keys."""

MAX_TOKEN_LENGTH = 8192
RSA_BITS = range(2048, 8193)
"""Shorter keys are broken, and the time of a verification grows with the square of the length."""

MALFORMED = "the token is malformed, or its signature or algorithm is wrong"


KeyParts = dict[str, str | list[str]]
"""The members of a JSON Web Key (RFC 7517)."""


class Keys(Protocol):
    """Keys of one origin."""

    grows: bool
    """Whether it may come to know more keys than it has now."""

    @property
    def generation(self) -> int:
        """Another number whenever these are other keys than before."""

    def candidates(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """The keys that may have signed a token with this header."""


class OwnKeys:
    """The gateway's own: a secret (HS256), a private key (RS256 or ES256, by its kind), or both."""

    grows = False
    generation = 0

    def __init__(self, *, secret: str | None = None, private_key: str | None = None) -> None:
        self._keys: dict[str, Key] = {}
        if secret is not None:
            self._keys["HS256"] = OctKey.import_key(secret)
        if private_key is not None:
            key = import_private_key(private_key)
            self._keys["RS256" if isinstance(key, RSAKey) else "ES256"] = key

    def candidates(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        """The one key of this algorithm, unless the token names another."""
        key = self._keys.get(algorithm)
        return [key] if key is not None and (algorithm == "HS256" or kid in {None, key.thumbprint()}) else []

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims, signed by the private key if there is one; there must be a key."""
        algorithm, key = list(self._keys.items())[-1]
        header = {"alg": algorithm} if algorithm == "HS256" else {"alg": algorithm, "kid": key.thumbprint()}
        return jwt.encode(header, claims, key, algorithms=[algorithm])


def import_private_key(pem: str) -> RSAKey | ECKey:
    """A private key from PEM, RSA of 2048 bits or more, or EC on P-256; raises ValueError for anything else."""
    for kind in (RSAKey, ECKey):
        try:
            key = import_key(kind, pem)
        except (JoseError, ValueError, TypeError):
            continue
        if not key.is_private:
            raise ValueError("is a public key")
        if algorithm_of(key) is None:
            raise ValueError("must be RSA of 2048 to 8192 bits, or EC on P-256")
        return key
    raise ValueError("is no PEM of an RSA or EC private key without a passphrase")


def import_key(kind: type[RSAKey] | type[ECKey], material: str | KeyParts) -> RSAKey | ECKey:
    """A key of this kind, whatever its size; `algorithm_of` refuses what the library only warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return kind.import_key(material)


def algorithm_of(key: Key) -> str | None:
    """The one algorithm that an asymmetric key is trusted for; None if it is not to be trusted."""
    if isinstance(key, RSAKey):
        return "RS256" if key.raw_value.key_size in RSA_BITS else None
    if isinstance(key, ECKey):
        return "ES256" if key.curve_name == "P-256" else None
    return None


def signed_claims(token: str, sources: Sequence[Keys], types: frozenset[str] = TYPES) -> dict[str, Any]:
    """The claims of a token that a trusted key has signed. What they say is for the caller to check.

    Raises:
        UnknownKey: no key is known for it, and a source may come to know one.
        InvalidToken: it is malformed or forged.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("the token is too long")
    header = _header(token)
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "jwt")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or "crit" in header:
        raise InvalidToken(MALFORMED)
    if not isinstance(kind, str) or kind.lower() not in types or not isinstance(kid, str | None):
        raise InvalidToken("the token is of a kind that is not accepted here")
    candidates = [key for source in sources for key in source.candidates(algorithm, kid)]
    if not candidates and algorithm != "HS256" and any(source.grows for source in sources):
        raise UnknownKey("the token is signed by a key that its issuer does not publish")
    for key in candidates:
        try:
            return jwt.decode(
                token, key, registry=JWSRegistry(algorithms=[algorithm], strict_check_header=False)
            ).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            continue
    raise InvalidToken(MALFORMED)


def _header(token: str) -> dict[str, Any]:
    """The header as it stands there, unverified: it only chooses among trusted keys."""
    try:
        header = orjson.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
    except ValueError:
        raise InvalidToken(MALFORMED) from None
    if not isinstance(header, dict):
        raise InvalidToken(MALFORMED)
    return header
