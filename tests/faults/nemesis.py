"""Causes faults by chance, from a seed, and notes what it did."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tests.support.services import Service, ServiceFailed

Fault = Callable[[], Awaitable[str]]
"""Does its harm, undoes it where that belongs to it, and returns what it is called in the tally."""


class Nemesis:
    """Draws one fault after another while its block runs; at the end the last one is let finish."""

    def __init__(self, rng: random.Random, faults: Sequence[Fault], pause: tuple[float, float]) -> None:
        self._rng = rng
        self._faults = faults
        self._pause = pause
        self._stop = asyncio.Event()
        self.done: Counter[str] = Counter()

    @asynccontextmanager
    async def raging(self) -> AsyncIterator["Nemesis"]:
        """Cause faults while the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._stop.set()
            await task

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                await asyncio.wait_for(self._stop.wait(), self._rng.uniform(*self._pause))
            except TimeoutError:
                self.done[await self._rng.choice(self._faults)()] += 1


def kill(service: Service) -> Fault:
    """`kill -9` and an immediate new start, as an orchestrator does; not waiting until it is ready."""

    async def fault() -> str:
        service.kill()
        service.spawn()
        return service.kind

    return fault


async def all_ready(services: Sequence[Service], within: float = 180) -> None:
    """Wait until every service answers that it is ready."""
    await asyncio.gather(*(service.ready(within) for service in services))


async def revived(services: Sequence[Service], attempts: int = 3) -> None:
    """Start again what does not run, as an orchestrator does, and wait until all are ready."""
    for _ in range(attempts):
        for service in services:
            if not service.alive():
                service.spawn()
        try:
            return await all_ready(services)
        except ServiceFailed as error:
            failure = error
    raise failure
