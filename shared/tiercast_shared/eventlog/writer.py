"""Natural batching: what arrives while a commit is in flight goes into the next one.

No timer and no added latency when idle; under load, batches form by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from tiercast_shared.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

Commit = Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
"""Commits a batch in one transaction and returns one outcome per item, in order: a result, or the exception that this item alone
earned. It raises when the whole batch failed, with nothing committed unless it raises `Unavailable`."""

Done = Callable[[Result | Exception], None]
"""Told what came of an item. It may not raise."""


async def outcome_of(start: Callable[[Done[Result]], None]) -> Result:
    """Wait until what `start` begins is done; returns its result, or raises its exception."""
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    start(partial(_resolve, future))
    return await future


def _resolve(future: "asyncio.Future[Result]", outcome: Result | Exception) -> None:
    if future.done():
        return  # who waited has stopped
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def at_once() -> None:
    """Do not wait."""


class BatchWriter(Generic[Item, Result]):
    """Collects what is submitted concurrently into batches and commits one batch at a time, when `pace` has returned."""

    def __init__(
        self,
        commit: Commit[Item, Result],
        *,
        pace: Callable[[], Awaitable[None]] = at_once,
        max_batch: int = 500,
        max_waiting: int = 10_000,
    ) -> None:
        self._commit = commit
        self._pace = pace
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Item, Done[Result]]] = deque()
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Items submitted and not yet in a batch."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Result:
        """Wait until `item` is committed; who stops waiting does not take it back.

        Raises:
            Unavailable: too much is waiting, or the store is away; the outcome may be unknown, repeating is safe.
            Exception: what the commit found wrong with this item alone.
        """
        return await outcome_of(partial(self.put, item))

    def put(self, item: Item, done: Done[Result]) -> None:
        """Have `item` committed, without waiting: `done` is told what `submit` would return or raise.

        Raises:
            Unavailable: too much is waiting.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable(f"{self._max_waiting} submissions are waiting to be stored")
        self._waiting.append((item, done))
        self._arrived.set()

    async def run(self) -> None:
        """Commit batches until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._pace()
                    taken = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
                    await self._settle(taken)
        finally:
            self._refuse_the_rest()

    async def _settle(self, batch: list[tuple[Item, Done[Result]]]) -> None:
        try:
            outcomes = await self._outcomes([item for item, _ in batch])
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(batch))  # refused with the rest; whether it was committed is unknown
            raise
        for (_, done), outcome in zip(batch, outcomes, strict=True):
            done(outcome)

    async def _outcomes(self, items: list[Item]) -> Sequence[Result | Exception]:
        try:
            return await self._commit(items)
        except Unavailable as error:
            return [error] * len(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this batch's outcome
            if len(items) == 1:
                return [error]
        # one bad item fails alone: the others get a transaction each
        return [outcome for item in items for outcome in await self._outcomes([item])]

    def _refuse_the_rest(self) -> None:
        while self._waiting:
            _, done = self._waiting.popleft()
            done(Unavailable("shutting down"))
