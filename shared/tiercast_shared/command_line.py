"""How every command of every service runs, and how it ends when it cannot do its work."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

import uvloop

from tiercast_shared.errors import TiercastError, Unavailable
from tiercast_shared.settings import EX_CONFIG

EX_UNAVAILABLE = 69
"""Exit status for a database or broker that cannot be reached (sysexits.h)."""

Answer = TypeVar("Answer")


@contextmanager
def explained(program: str) -> Iterator[None]:
    """Say in one line what an operator can do about, and exit with a status that tells wrong setup from unreachable."""
    try:
        yield
    except TiercastError as error:
        sys.stderr.write(f"{program}: {error}\n")
        raise SystemExit(EX_UNAVAILABLE if isinstance(error, Unavailable) else EX_CONFIG) from None


def run(program: str, work: Coroutine[None, None, Answer]) -> Answer:
    """Run `work` to its end."""
    with explained(program), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
