"""Exceptions of the gateway.

TiercastError
├── IllegalTransition    a bug: a connection was moved where it cannot go
└── InvalidToken         the token is refused; its text never contains the token
"""

from tiercast_shared.errors import TiercastError


class IllegalTransition(TiercastError):
    """A connection was to move to a state that does not follow its present one."""


class InvalidToken(TiercastError):
    """A token that proves nothing."""
