"""Random names, made from the operating system's randomness in large draws.

`uuid4` asks the system for 16 bytes each time, which costs more than all the rest of naming a signal.
"""

import os
from collections.abc import Iterator
from uuid import UUID

DRAW = 4096
"""Bytes drawn at once: 256 names."""


def _draws() -> Iterator[UUID]:
    while True:
        drawn = os.urandom(DRAW)
        for start in range(0, DRAW, 16):
            yield UUID(bytes=drawn[start : start + 16], version=4)


_names = _draws()


def new_identifier() -> str:
    """A random UUID (version 4)."""
    return str(next(_names))
