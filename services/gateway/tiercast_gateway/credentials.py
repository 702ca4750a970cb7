"""Tokens on a socket: the first one, a newer one, and the end of each. Pure: the clock and the verifier are arguments."""

from collections.abc import Callable

from tiercast_gateway.auth import Identity
from tiercast_gateway.connection import Connection, State
from tiercast_gateway.errors import InvalidToken, UnknownKey
from tiercast_gateway.frames import encode
from tiercast_gateway.registry import Registry
from tiercast_gateway.renewal import Renewable
from tiercast_gateway.tier_cache import KnownTier, TierCache
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import ErrorFrame

AUTH_SECONDS = 5.0
EXPIRY_NOTICE_SECONDS = 60.0
"""How long before its token ends a client is told, once."""


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
        keys: Renewable | None = None,
    ) -> None:
        self._registry = registry
        self._tiers = tiers
        self._verify = verify
        self._keys = keys
        self._on_identified = on_identified
        self._clock = clock

    def present(self, connection: Connection, token: str) -> None:
        """Take the first token of a connection, or a newer one of the same user.

        One that names an unknown key waits until its issuer's keys were read again, where that may be done now.
        """
        try:
            identity = self._verify(token)
        except UnknownKey as error:
            self._wait_for_key(connection, token, str(error))
        except InvalidToken as error:
            self._refuse(connection, str(error))
        else:
            self._accept(connection, identity)

    def _wait_for_key(self, connection: Connection, token: str, refusal: str) -> None:
        keys = self._keys
        if keys is not None and keys.renew(lambda: self._present_again(connection, token)):
            return
        if keys is None or keys.problem() is None:
            self._refuse(connection, refusal)
        else:  # it may well be good: the client should come back
            problem = "the keys of the token's issuer cannot be read now"
            self._registry.close(connection, CloseCode.INTERNAL_ERROR, problem, error="keys_unavailable")

    def _present_again(self, connection: Connection, token: str) -> None:
        if connection.state is not State.CLOSED:
            self.present(connection, token)

    def _accept(self, connection: Connection, identity: Identity) -> None:
        first = connection.state is State.AUTHENTICATING
        if not first and identity.user_id != connection.user_id:
            self._refuse(connection, "the token is another user's")
        elif self._tiers.revoked(identity.user_id, identity.issued_at):
            self._end_revoked(connection)
        else:
            connection.issued_at, connection.expires_at = identity.issued_at, identity.expires_at
            connection.expiry_told = False
            if first:
                self._registry.identified(connection, identity.user_id)
                self._on_identified(connection)

    def _refuse(self, connection: Connection, why: str) -> None:
        self._registry.close(connection, CloseCode.INVALID_TOKEN, why, error="invalid_token")

    def ended_by(self, connection: Connection, known: KnownTier) -> bool:
        """End a connection whose token was revoked; returns whether it was."""
        revoked = known.tokens_valid_after > connection.issued_at
        if revoked:
            self._end_revoked(connection)
        return revoked

    def _end_revoked(self, connection: Connection) -> None:
        self._registry.close(connection, CloseCode.INVALID_TOKEN, "the token was revoked", error="revoked_token")

    def sweep(self) -> None:
        """End who did not authenticate in time, and whose token is over; tell whose token soon will be."""
        now = self._clock()
        for connection in self._registry:
            if connection.expires_at <= now:
                self._registry.close(
                    connection, CloseCode.TOKEN_EXPIRED, "the token has expired", error="token_expired"
                )
            elif connection.expires_at - EXPIRY_NOTICE_SECONDS <= now and not connection.expiry_told:
                self._tell_expiry(connection)
        for connection in self._registry.anonymous:
            if now - connection.connected_at > AUTH_SECONDS:
                self._registry.close(connection, CloseCode.AUTH_TIMEOUT, "no token came in time", error="auth_timeout")

    def _tell_expiry(self, connection: Connection) -> None:
        if connection.state is State.OPEN:
            connection.expiry_told = True
            message = 'the token is about to expire: send {"type":"auth","token":…} with a newer one'
            connection.send(encode(ErrorFrame(code="token_expiring", message=message)))
