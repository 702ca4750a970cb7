"""Verification that waits for an issuer's new keys where a token names one that is not known yet."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tiercast_gateway.auth import Identity
from tiercast_gateway.errors import UnknownKey
from tiercast_shared.errors import Unavailable


class Renewable(Protocol):
    """Keys that can be read again; `Jwks` in production."""

    def renew(self, then: Callable[[], None]) -> bool:
        """Read them again and call `then`; False if that may not be done now."""

    def problem(self) -> str | None:
        """Why they could not be read; None if they could."""


async def verified(verify: Callable[[str], Identity], token: str, keys: Renewable | None) -> Identity:
    """Whom `token` names, its issuer's keys being read again if need be.

    Raises:
        InvalidToken: `verify` refuses it.
        Unavailable: it names an unknown key, and its issuer cannot be asked.
    """
    try:
        return verify(token)
    except UnknownKey:
        if keys is None:
            raise
        renewed = asyncio.Event()
        if keys.renew(renewed.set):
            await renewed.wait()
    try:
        return verify(token)
    except UnknownKey:
        if keys.problem() is not None:
            raise Unavailable("the keys of the token's issuer cannot be read now", retry_after=5) from None
        raise
