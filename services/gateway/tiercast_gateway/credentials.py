"""Tokens on a socket: the first one, a newer one, and the end of each. Pure: the clock and the verifier are arguments."""

from collections.abc import Callable

from tiercast_gateway.auth import Identity
from tiercast_gateway.connection import Connection, State
from tiercast_gateway.errors import InvalidToken
from tiercast_gateway.registry import Registry
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_shared.contracts.close_codes import CloseCode

AUTH_SECONDS = 5.0


class Credentials:
    """Says whose a connection is, and for how long."""

    def __init__(
        self,
        registry: Registry,
        tiers: TierCache,
        *,
        verify: Callable[[str], Identity],
        on_identified: Callable[[Connection], None],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._tiers = tiers
        self._verify = verify
        self._on_identified = on_identified
        self._clock = clock

    def present(self, connection: Connection, token: str) -> None:
        """Take the first token of a connection, or a newer one of the same user."""
        try:
            identity = self._verify(token)
        except InvalidToken as error:
            self._registry.close(connection, CloseCode.INVALID_TOKEN, str(error), error="invalid_token")
            return
        if connection.state is State.AUTHENTICATING:
            connection.issued_at, connection.expires_at = identity.issued_at, identity.expires_at
            self._registry.identified(connection, identity.user_id)
            self._on_identified(connection)
        elif identity.user_id != connection.user_id:
            self._registry.close(
                connection, CloseCode.INVALID_TOKEN, "the token is another user's", error="invalid_token"
            )
        elif self._tiers.revoked(identity.user_id, identity.issued_at):
            self._end_revoked(connection)
        else:
            connection.issued_at, connection.expires_at = identity.issued_at, identity.expires_at

    def ended_by(self, connection: Connection, known: KnownTier) -> bool:
        """End a connection whose token was revoked; returns whether it was."""
        revoked = known.tokens_valid_after > connection.issued_at
        if revoked:
            self._end_revoked(connection)
        return revoked

    def _end_revoked(self, connection: Connection) -> None:
        self._registry.close(connection, CloseCode.INVALID_TOKEN, "the token was revoked", error="revoked_token")

    def sweep(self) -> None:
        """End who did not authenticate in time, and whose token is over."""
        now = self._clock()
        for connection in self._registry:
            if connection.expires_at <= now:
                self._registry.close(
                    connection, CloseCode.TOKEN_EXPIRED, "the token has expired", error="token_expired"
                )
        for connection in self._registry.anonymous:
            if now - connection.connected_at > AUTH_SECONDS:
                self._registry.close(connection, CloseCode.AUTH_TIMEOUT, "no token came in time", error="auth_timeout")
