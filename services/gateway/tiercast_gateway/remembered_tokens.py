"""Tokens that were found good, so that a signature is checked once and not with every request.

Only what cannot change is remembered: that a key which is still trusted has signed these very bytes. The end of a token is looked
at each time, any change of the trusted keys forgets everything, and whether a token was revoked is never asked here.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256

from tiercast_gateway.auth import Identity
from tiercast_gateway.signatures import Keys

MAX_TOKENS = 20_000
"""About 310 bytes each."""


class RememberedTokens:
    """A verifier in front of another one, `verify`, that trusts `keys`."""

    def __init__(
        self,
        verify: Callable[[str], Identity],
        keys: Sequence[Keys],
        *,
        clock: Callable[[], float] = time.time,
        most: int = MAX_TOKENS,
    ) -> None:
        self._verify = verify
        self._sources = keys
        self._clock = clock
        self._most = most
        self._good: OrderedDict[bytes, Identity] = OrderedDict()
        self._generations = self._generations_now()

    def __len__(self) -> int:
        """Tokens that are remembered."""
        return len(self._good)

    def verify(self, token: str) -> Identity:
        """Who `token` speaks for, looked at closely only the first time; raises what the verifier raises."""
        identity = self.known(token)
        if identity is None:
            identity = self._verify(token)
            self._good[_digest(token)] = identity
            if len(self._good) > self._most:
                self._good.popitem(last=False)
        return identity

    def known(self, token: str) -> Identity | None:
        """Who `token` speaks for, if it was found good before and still is; None if that must be looked at."""
        generations = self._generations_now()
        if generations != self._generations:
            self._good.clear()
            self._generations = generations
        digest = _digest(token)
        identity = self._good.get(digest)
        if identity is None:
            return None
        if identity.expires_at <= self._clock():
            del self._good[digest]
            return None
        self._good.move_to_end(digest)
        return identity

    def forget(self) -> None:
        """Forget all: each is looked at closely once more when it is shown again."""
        self._good.clear()

    def _generations_now(self) -> list[int]:
        return [keys.generation for keys in self._sources]


def _digest(token: str) -> bytes:
    """A token's place; the token itself is not kept."""
    return sha256(token.encode(errors="surrogatepass")).digest()
