"""A process in the simulation: it can be killed between any two steps, and stopped and continued."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from tiercast_shared.errors import StorageUnavailable


class Weather:
    """How bad things are now. All chances are taken from one random number generator, the schedule's."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.loss, self.copies, self.late = 0.0, 0.0, 0.0
        """Parts of the broker's messages that are lost, come twice, and come late."""
        self.refused = 0.0
        """Part of requests and transactions that fail."""
        self.slowest = 0.02
        """Seconds that a message or a request takes at most; late ones take longer."""

    def turn(self) -> None:
        """Draw how bad this schedule is: some have no faults of one kind, to let the others show."""
        draw = self.chance.choice
        self.loss, self.copies, self.late = draw((0, 0.05, 0.3)), draw((0, 0.1, 0.4)), draw((0, 0.1, 0.3))
        self.refused = draw((0, 0.1, 0.3))
        self.slowest = draw((0.02, 0.02, 0.3))

    def clear(self) -> None:
        self.loss = self.copies = self.late = self.refused = 0.0
        self.slowest = 0.02

    def happens(self, part: float) -> bool:
        return part > 0 and self.chance.random() < part

    def delay(self) -> float:
        return self.chance.random() * self.slowest


class Host:
    """What lives and dies together. Its code does all I/O through `io`, so that is where it can be interrupted."""

    def __init__(self, name: str, weather: Weather) -> None:
        self.name = name
        self.weather = weather
        self.alive = True
        self._running = asyncio.Event()
        self._running.set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, *works: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks += [asyncio.get_running_loop().create_task(work()) for work in works]

    async def io(self) -> None:
        """Go to the network and come back, if this process lives and is not stopped."""
        await asyncio.sleep(self.weather.delay())
        if not self._running.is_set():
            await self._running.wait()
        if not self.alive:
            raise StorageUnavailable(f"{self.name} is dead")

    def kill(self) -> None:
        """At once: what its code would do at the end does not get out any more."""
        self.alive = False
        self._running.set()
        for task in self._tasks:
            task.cancel()

    def stop(self) -> None:
        """As SIGSTOP does."""
        self._running.clear()

    def go_on(self) -> None:
        self._running.set()

    @property
    def stopped(self) -> bool:
        return not self._running.is_set()

    def check(self) -> None:
        """None of its tasks may have ended by itself."""
        for task in self._tasks:
            assert not (self.alive and task.done()), f"{self.name}: {task}"
