"""Gives memory back after many clients have left.

What was freed stays with the process. Python's garbage waits for a threshold that a quiet replica does not reach; its allocator
returns a mebibyte (an arena) only when nothing in it is used, so that one small object that came with the crowd and stays keeps
all of it; and glibc keeps free pages that lie below used ones. A replica would keep the size of its largest crowd for ever.
"""

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence

MANY = 500
"""Fewer connections than this (4 MB) are not worth the time (some 10 ms) to look for what can be given back."""

LOOKS = 10
"""Seconds in which a crowd that lost its connections may come back: what it will need again is not given away."""


def give_back() -> None:
    """Let go of garbage and of attribute names, then return every free page to the operating system, where the C library can.

    CPython's cache of attribute look-ups holds on to the names it was asked for: up to 4,096 of them, each a string of its own
    where a library puts it together (pamqp does, for every frame). They lie all over the crowd's memory.
    """
    gc.collect()
    sys._clear_type_cache()  # noqa: SLF001 - the only way
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


class MemoryReturn:
    """Watches the number of connections; when most of a crowd has left and nobody came back, memory is given back.

    Before that, `forget` are called: what they let go is only there to be quicker when somebody comes back.
    """

    def __init__(
        self,
        give_back: Callable[[], None] = give_back,
        *,
        forget: Sequence[Callable[[], None]] = (),
        looks: int = LOOKS,
    ) -> None:
        self._give_back = give_back
        self._forget = forget
        self._looks = looks
        self._crowd = 0
        """Most connections since memory was given back last."""
        self._few = 0
        """Looks in a row at which most of them had left."""

    def look(self, connections: int) -> None:
        """To be told, every second or so, how many connections there are."""
        self._crowd = max(self._crowd, connections)
        most_have_left = self._crowd - connections >= max(MANY, self._crowd // 2)
        self._few = self._few + 1 if most_have_left else 0
        if self._few >= self._looks:
            for forget in self._forget:
                forget()
            self._give_back()
            self._crowd, self._few = connections, 0
