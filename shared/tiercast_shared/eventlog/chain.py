"""The hash chain: each link commits to a body and to everything before it.

link(0) = 32 zero bytes;  link(n) = SHA-256(link(n-1) ‖ SHA-256(body(n)))

The inner hash lets a link be proved to somebody who may not see its neighbours' bodies.
"""

from hashlib import sha256

GENESIS = bytes(32)


def link(previous: bytes, body: bytes) -> bytes:
    """The link (32 bytes) that puts `body` after `previous` (32 bytes)."""
    return sha256(previous + sha256(body).digest()).digest()
