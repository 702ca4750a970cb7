"""Natural batching, and what each submitter is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tiercast_shared.errors import Unavailable
from tiercast_shared.eventlog.writer import BatchWriter


class Commits:
    """A store that remembers its batches, waits for `gate` before each, and fails as told."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.bad: set[int] = set()
        self.away = False

    async def commit(self, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(batch))
        await self.gate.wait()
        if self.away:
            raise Unavailable("the database is away")
        if self.bad & set(batch):
            raise ValueError(f"bad item in a batch of {len(batch)}")
        return [ValueError("odd") if item < 0 else item * 10 for item in batch]


@asynccontextmanager
async def running(commits: Commits, **limits: Any) -> AsyncIterator[BatchWriter[int, int]]:
    writer = BatchWriter[int, int](commits.commit, **limits)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait([task])


async def submitted(writer: BatchWriter[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(writer.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_an_idle_writer_commits_one_item_alone():
    commits = Commits()
    async with running(commits) as writer:
        assert await writer.submit(7) == 70
    assert commits.batches == [[7]]


async def test_what_arrives_during_a_commit_goes_into_the_next_one():
    commits = Commits()
    commits.gate.clear()
    async with running(commits) as writer:
        tasks = await submitted(writer, [1])
        await asyncio.sleep(0)
        tasks += await submitted(writer, [2, 3, 4])
        commits.gate.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30, 40]
    assert commits.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_largest_size_and_keeps_the_order():
    commits = Commits()
    async with running(commits, max_batch=2) as writer:
        await asyncio.gather(*await submitted(writer, range(5)))
    assert [len(batch) for batch in commits.batches] == [2, 2, 1]
    assert [item for batch in commits.batches for item in batch] == [0, 1, 2, 3, 4]


async def test_an_item_can_earn_an_error_of_its_own():
    commits = Commits()
    async with running(commits) as writer:
        outcomes = await asyncio.gather(*await submitted(writer, [1, -2, 3]), return_exceptions=True)
    assert outcomes[0] == 10
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == 30


async def test_one_item_that_breaks_its_batch_fails_alone():
    commits = Commits()
    commits.bad = {2}
    async with running(commits) as writer:
        outcomes = await asyncio.gather(*await submitted(writer, [1, 2, 3]), return_exceptions=True)
    assert outcomes[0] == 10
    assert isinstance(outcomes[1], ValueError)
    assert outcomes[2] == 30
    assert commits.batches == [[1, 2, 3], [1], [2], [3]]


async def test_a_database_that_is_away_fails_the_whole_batch_once():
    commits = Commits()
    commits.away = True
    async with running(commits) as writer:
        outcomes = await asyncio.gather(*await submitted(writer, [1, 2]), return_exceptions=True)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert commits.batches == [[1, 2]]
        commits.away = False
        assert await writer.submit(3) == 30


async def test_too_much_waiting_is_refused_at_once():
    commits = Commits()
    commits.gate.clear()
    async with running(commits, max_waiting=2) as writer:
        tasks = await submitted(writer, [1])
        await asyncio.sleep(0)
        tasks += await submitted(writer, [2, 3])
        assert writer.waiting == 2
        with pytest.raises(Unavailable, match="2 submissions are waiting"):
            await writer.submit(4)
        commits.gate.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30]


async def test_who_stops_waiting_harms_nobody():
    commits = Commits()
    commits.gate.clear()
    async with running(commits) as writer:
        first, second = await submitted(writer, [1, 2])
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        commits.gate.set()
        assert await second == 20


async def test_a_stop_leaves_nobody_waiting():
    commits = Commits()
    commits.gate.clear()
    async with running(commits) as writer:
        tasks = await submitted(writer, [1])
        await asyncio.sleep(0)
        tasks += await submitted(writer, [2])
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["shutting down", "shutting down"]


async def test_who_does_not_wait_is_told_by_a_call():
    commits, told = Commits(), list[tuple[int, int | Exception]]()
    everything = asyncio.Event()

    def note(item: int, outcome: int | Exception) -> None:
        told.append((item, outcome))
        if len(told) == 3:
            everything.set()

    async with running(commits) as writer:
        for item in (1, -2, 3):
            writer.put(item, partial(note, item))
        await everything.wait()
    assert [(item, type(outcome)) for item, outcome in told] == [(1, int), (-2, ValueError), (3, int)]


async def test_at_the_end_everybody_is_told_that_it_was_not_stored():
    commits, told = Commits(), list[int | Exception]()
    commits.gate.clear()
    async with running(commits) as writer:
        writer.put(1, told.append)
        await asyncio.sleep(0)
        writer.put(2, told.append)
    assert [str(outcome) for outcome in told] == ["shutting down"] * 2


async def test_a_batch_is_taken_when_the_pace_allows_and_holds_what_came_until_then():
    commits, asked, go_on = Commits(), asyncio.Event(), asyncio.Event()

    async def pace() -> None:
        asked.set()
        await go_on.wait()

    async with running(commits, pace=pace) as writer:
        tasks = await submitted(writer, [1])
        await asked.wait()
        tasks += await submitted(writer, [2, 3])
        assert commits.batches == []
        go_on.set()
        assert await asyncio.gather(*tasks) == [10, 20, 30]
    assert commits.batches == [[1, 2, 3]]
