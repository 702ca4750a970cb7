"""Random names, made from the operating system's randomness in large draws.

`uuid4` asks the system for 16 bytes each time, which costs more than all the rest of naming a signal.
"""

import os
from collections.abc import Iterator

DRAW = 4096
"""Bytes drawn at once: 256 names."""


def _draws() -> Iterator[str]:
    while True:
        drawn = bytearray(os.urandom(DRAW))
        for start in range(0, DRAW, 16):
            drawn[start + 6] = drawn[start + 6] & 0x0F | 0x40  # version 4 (RFC 9562, section 5.4)
            drawn[start + 8] = drawn[start + 8] & 0x3F | 0x80  # of the variant that the RFC describes
            digits = drawn[start : start + 16].hex()
            yield f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_names = _draws()


def new_identifier() -> str:
    """A random UUID (version 4)."""
    return next(_names)
