"""What an application's own token (a session token, an id token) is exchanged for: a token for this gateway."""

from collections.abc import Awaitable, Callable, Mapping

from tiercast_gateway.auth import Identity
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.id_tokens import IdTokens
from tiercast_gateway.jwks import Jwks
from tiercast_gateway.renewal import verified
from tiercast_gateway.session_tokens import SessionTokens
from tiercast_gateway.token_issuer import IssuedToken, TokenIssuer

Revoked = Callable[[Identity], Awaitable[bool]]


class TokenExchange:
    """Reads subject tokens and issues tokens for them, unless the user's sessions were revoked since."""

    def __init__(
        self,
        issuer: TokenIssuer,
        *,
        sessions: SessionTokens | None,
        id_tokens: IdTokens | None,
        provider: Jwks | None,
        revoked: Revoked,
    ) -> None:
        self._issuer = issuer
        self.sessions = sessions
        self._id_tokens = id_tokens
        self._provider = provider
        self._revoked = revoked

    async def of_session(self, token: str) -> IssuedToken:
        """For a session token; raises InvalidToken."""
        if self.sessions is None:
            raise InvalidToken("session tokens are not exchanged here (NEXTAUTH_SECRET)")
        return await self._issue(self.sessions.read(token))

    async def of_cookies(self, cookies: Mapping[str, str]) -> IssuedToken | None:
        """For the session cookie among these; None without one. Raises InvalidToken."""
        subject = self.sessions.of_cookies(cookies) if self.sessions is not None else None
        return await self._issue(subject) if subject is not None else None

    async def of_id_token(self, token: str) -> IssuedToken:
        """For an id token; raises InvalidToken, or Unavailable while the provider's keys cannot be read."""
        if self._id_tokens is None or self._provider is None:
            raise InvalidToken("id tokens are not exchanged here (OIDC_ISSUER)")
        return await self._issue(await verified(self._id_tokens.read, token, self._provider))

    async def _issue(self, subject: Identity) -> IssuedToken:
        if await self._revoked(subject):
            raise InvalidToken("the token was revoked")
        return self._issuer.issue(subject)
