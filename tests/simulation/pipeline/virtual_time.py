"""An asyncio loop whose clock jumps to the next timer: hours pass in no time, and a schedule is played the same way again."""

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Coroutine
from typing import Any, TypeVar

START = 1_000_000.0
"""Seconds at which every schedule begins, by every clock."""

Result = TypeVar("Result")


class Stuck(AssertionError):
    """Nothing is left that could ever happen."""


class _NumberedTask(asyncio.Task[Any]):
    """Hashed by its number, not by where it lies in memory: task groups keep sets of tasks, and cancel them in their order."""

    number = 0

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        _NumberedTask.number += 1
        self.number = _NumberedTask.number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self.number


class _Jump:
    """In the place of a selector: instead of waiting, move the clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[object]:
        if timeout is None:
            raise Stuck("every task waits for another one")
        if timeout > 0:
            self._loop.now = max(self._loop.now, self._loop.next_timer)  # a sum of floats might fall short of it
        return []


class VirtualLoop(BaseEventLoop):
    """Knows no files and no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self._selector = _Jump(self)
        self.set_task_factory(lambda _loop, coroutine, **options: _NumberedTask(coroutine, loop=self, **options))

    def time(self) -> float:
        return self.now

    @property
    def next_timer(self) -> float:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return timers[0].when()

    def _process_events(self, _events: list[object]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _raised(context: dict[str, Any]) -> list[Exception]:
    error = context.get("exception")
    return [error] if isinstance(error, AssertionError) else []


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end in virtual time, then cancel what is left."""
    loop, _NumberedTask.number = VirtualLoop(), 0
    failed: list[Exception] = []
    # what a callback raises would only be logged
    loop.set_exception_handler(lambda _loop, context: failed.extend(_raised(context)))
    try:
        result = loop.run_until_complete(main)
    except AssertionError as error:
        raise (failed or [error])[0] from None
    else:
        if failed:
            raise failed[0]
        return result
    finally:
        left = sorted(asyncio.all_tasks(loop), key=hash)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
