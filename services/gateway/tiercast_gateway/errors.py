"""Exceptions of the gateway.

TiercastError
├── IllegalTransition    a bug: a connection was moved where it cannot go
├── InvalidToken         the token is refused; its text never contains the token
│   └── UnknownKey       it names a key that is not known here, or not yet
├── KeysUnreadable       a published key set could not be fetched or understood
└── CrossSite            a page of another site tried to use the session cookie
"""

from tiercast_shared.errors import TiercastError


class IllegalTransition(TiercastError):
    """A connection was to move to a state that does not follow its present one."""


class InvalidToken(TiercastError):
    """A token that proves nothing."""


class UnknownKey(InvalidToken):
    """A token that names a signing key that is not known here; it may be a new one of its issuer."""


class KeysUnreadable(TiercastError):
    """A JWKS could not be had; its text says why."""


class CrossSite(TiercastError):
    """A request that may not use the session cookie, because of where the page that made it comes from."""
