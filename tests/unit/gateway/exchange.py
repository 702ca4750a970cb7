"""`/api/v1/auth/token` without a gateway around it, and sessions to ask it with."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fastapi import Depends, FastAPI
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.unit.gateway.doubles import AUDIENCE, ISSUER, SECRET
from tests.unit.gateway.origins import ORIGIN
from tiercast_gateway.auth import Identity, TokenVerifier
from tiercast_gateway.callers import Credential
from tiercast_gateway.id_tokens import IdTokens
from tiercast_gateway.session_tokens import SessionTokens
from tiercast_gateway.signatures import OwnKeys
from tiercast_gateway.token_api import GRANT, JWT, token_router
from tiercast_gateway.token_exchange import TokenExchange
from tiercast_gateway.token_issuer import TokenIssuer
from tiercast_shared.web import install_error_handlers

PATH, POLLED = "/api/v1/auth/token", "/polled"
APPLICATION = "the-secret-of-the-application"
COOKIE = "next-auth.session-token"


def session(user: str = "alice", secret: str = APPLICATION, **claims: object) -> str:
    """As NextAuth 4 makes it; the real package's are tried in `tests/e2e`."""
    info = b"NextAuth.js Generated Encryption Key"
    key = OctKey.import_key(HKDF(hashes.SHA256(), 32, b"", info).derive(secret.encode()))
    now = int(time.time())
    present = {"sub": user, "iat": now, "exp": now + 3600} | claims
    plain = json.dumps({name: value for name, value in present.items() if value is not None})
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, plain, key)


class AwayKeys:
    """A provider whose keys cannot be read."""

    grows = True

    def candidates(self, _algorithm: str, _kid: str | None) -> list[Any]:
        return []

    def renew(self, _then: Callable[[], None]) -> bool:
        return False

    def problem(self) -> str | None:
        return "it does not answer"


class Exchange:
    """The routes that take a session, over keys of their own."""

    def __init__(self, *, private_key: str | None = None, sessions: bool = True) -> None:
        self.revoked_before = 0.0
        keys = OwnKeys(secret=SECRET, private_key=private_key)
        issuer = TokenIssuer(keys, issuer=ISSUER, audience=AUDIENCE, user_claim="sub", lifetime=900)
        self.verifier = TokenVerifier([keys], issuer=ISSUER, audience=AUDIENCE)
        away: Any = AwayKeys()
        read = SessionTokens([APPLICATION]) if sessions else None
        exchange = TokenExchange(
            issuer,
            sessions=read,
            id_tokens=IdTokens(away, issuer=ISSUER, client_id="us"),
            provider=away,
            revoked=self._revoked,
        )
        app, origins = FastAPI(), frozenset({ORIGIN})
        install_error_handlers(app, challenge="Bearer")
        app.include_router(token_router(exchange, audience=AUDIENCE, allowed_origins=origins))
        credential = Credential(self.verifier.verify, sessions=read, allowed_origins=origins)

        @app.get(POLLED)
        async def polled(identity: Annotated[Identity, Depends(credential.of)]) -> str:
            return identity.user_id

        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def _revoked(self, identity: Identity) -> bool:
        return self.revoked_before > identity.issued_at

    async def ask(self, token: str | None = None, path: str = PATH, **headers: str) -> httpx.Response:
        """With a session cookie; names of headers with `_` for `-`."""
        told = [(name.replace("_", "-"), value.encode("latin-1")) for name, value in headers.items()]
        cookie = [("Cookie", f"{COOKIE}={token or session()}".encode())]
        return await self.http.get(path, headers=cookie + told)

    async def post(self, content: str | bytes | None = None, kind: str | None = None, **fields: str) -> httpx.Response:
        """A usual exchange, with some fields changed; an empty one is left out."""
        usual = {"grant_type": GRANT, "subject_token": session(), "subject_token_type": JWT}
        body = urlencode(usual | fields) if content is None else content
        kind = "application/x-www-form-urlencoded" if kind is None else kind
        return await self.http.post(PATH, content=body, headers={"Content-Type": kind})
