"""A thread that lives as long as the session.

The kernel ends a server when the thread that started it ends, so a server that is restarted while an event loop goes on must be
started from a thread that outlives that loop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_threads = ThreadPoolExecutor(4, thread_name_prefix="lasting")


async def in_lasting_thread(call: Callable[..., Result], *arguments: object) -> Result:
    """Run `call(*arguments)` there and return what it returns."""
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: call(*arguments))
