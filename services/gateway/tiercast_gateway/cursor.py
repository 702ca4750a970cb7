"""The sealed cursor: a place in the signal log that its bearer can neither read nor forge.

AES-SIV (RFC 5297) is deterministic, so that one place has one cursor on every replica, and authenticated. The key comes from the
services' shared key by HKDF (RFC 5869). Only the global position is inside, so a cursor outlives a change of tier; for a client
of the standard feed it is always the position of a standard signal, so that its changes tell nothing of premium ones.
"""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CURSOR_LENGTH = 43
"""Characters: 16 bytes of plain text and 16 of SIV, in base64url without padding."""

OPENED = 1024
"""Cursors whose places are remembered: clients that lose a replica together come back with the same few."""

_PLAIN = struct.Struct(">8sQ")


class InvalidCursor(ValueError):
    """Not a cursor that this system made."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a cursor says: a position, in the life of the log that `epoch_tag` stands for."""

    epoch_tag: bytes
    position: int


class CursorCodec:
    """Seals and opens cursors."""

    def __init__(self, service_key: str) -> None:
        key = HKDF(SHA256(), length=64, salt=None, info=b"tiercast cursor 1").derive(service_key.encode())
        self._siv = AESSIV(key)
        self._opened = lru_cache(OPENED)(self._open)

    def seal(self, epoch: str, position: int) -> str:
        """The cursor of `position` in `epoch`."""
        return _text(self._siv.encrypt(_PLAIN.pack(epoch_tag(epoch), position), None))

    def open(self, cursor: str) -> Place:
        """What `cursor` says.

        Raises:
            InvalidCursor: it was not made with this key, or not at all.
        """
        return self._opened(cursor)

    def _open(self, cursor: str) -> Place:
        if len(cursor) != CURSOR_LENGTH or not cursor.isascii():
            raise InvalidCursor("a cursor has 43 characters of base64url")
        try:
            sealed = urlsafe_b64decode(cursor + "=")
            tag, position = _PLAIN.unpack(self._siv.decrypt(sealed, None))
        except (InvalidTag, ValueError, struct.error):
            raise InvalidCursor("the cursor was not made by this system") from None
        if _text(sealed) != cursor:  # base64url has spare bits, and Python reads it leniently; one place has one cursor
            raise InvalidCursor("the cursor was altered")
        return Place(tag, position)


@lru_cache(maxsize=8)
def epoch_tag(epoch: str) -> bytes:
    """Eight bytes that stand for an epoch inside a cursor."""
    return sha256(epoch.encode()).digest()[:8]


def _text(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()
