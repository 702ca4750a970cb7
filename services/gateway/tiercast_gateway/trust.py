"""Whose tokens this gateway believes, built from its settings."""

from tiercast_gateway.auth import TokenVerifier
from tiercast_gateway.callers import Credential
from tiercast_gateway.id_tokens import IdTokens
from tiercast_gateway.identity_settings import IdentitySettings
from tiercast_gateway.jwks import Jwks
from tiercast_gateway.remembered_tokens import RememberedTokens
from tiercast_gateway.session_tokens import SessionTokens
from tiercast_gateway.signatures import Keys, OwnKeys
from tiercast_gateway.token_exchange import Revoked, TokenExchange
from tiercast_gateway.token_issuer import TokenIssuer


class Trust:
    """Verifiers, and the published key sets behind them, which `fetched` lists: each is to be run and closed."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._settings = settings
        secret, private_key = settings.jwt_secret, settings.jwt_private_key
        self._own = OwnKeys(
            secret=secret.get_secret_value() if secret else None,
            private_key=private_key.get_secret_value() if private_key else None,
        )
        self.keys = Jwks(settings.jwks_url) if settings.jwks_url else None
        self._provider = Jwks(settings.oidc_jwks_url) if settings.oidc_jwks_url else None
        sources: list[Keys] = [self._own, self.keys] if self.keys else [self._own]
        verifier = TokenVerifier(
            sources, issuer=settings.jwt_issuer, audience=settings.jwt_audience, user_claim=settings.user_claim
        )
        self.tokens = RememberedTokens(verifier.verify, sources)
        secrets = settings.nextauth_secrets
        self._sessions = SessionTokens(secrets, user_claim=settings.user_claim) if secrets else None
        self.credential = Credential(
            self.tokens.verify,
            keys=self.keys,
            sessions=self._sessions,
            allowed_origins=settings.allowed_origins,
        )

    @property
    def fetched(self) -> list[Jwks]:
        """The key sets that are read over the network."""
        return [keys for keys in (self.keys, self._provider) if keys is not None]

    async def close(self) -> None:
        """Close their connections."""
        for keys in self.fetched:
            await keys.close()

    def exchange(self, revoked: Revoked) -> TokenExchange:
        """The token exchange; `revoked` tells whether a subject's sessions were revoked after its token was issued."""
        settings = self._settings
        issuer = TokenIssuer(
            self._own,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            user_claim=settings.user_claim,
            lifetime=settings.token_seconds,
        )
        id_tokens = None
        if self._provider and settings.oidc_issuer and settings.oidc_client_id:
            id_tokens = IdTokens(
                self._provider,
                issuer=settings.oidc_issuer,
                client_id=settings.oidc_client_id,
                user_claim=settings.user_claim,
            )
        return TokenExchange(
            issuer, sessions=self._sessions, id_tokens=id_tokens, provider=self._provider, revoked=revoked
        )
