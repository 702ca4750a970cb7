"""Row 13: the same signal many times is one signal, and another under its name is refused."""

import asyncio
import time
from collections import Counter

import pytest

from tests.faults.arena import PATIENCE, Arena
from tests.faults.dead import dead_letters
from tests.faults.ground import Ground
from tests.faults.history import Outcome, Submitted
from tests.faults.nemesis import revived
from tests.faults.producers import AmqpTransport, HttpTransport, Transport, make_signal
from tests.faults.trial import Trial
from tests.support.producers import signed

COPIES = 100
CHANGED = 10
RIVALS = 10

Content = dict[str, object]


@pytest.mark.faults(13, trials=2)
async def test_a_hundred_concurrent_copies_are_one_signal_and_changed_ones_are_refused(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    replica = arena.replica_of_ingest()
    replica.spawn()
    urls = (arena.stack.ingest.url, replica.url)
    doors = Doors(arena, [HttpTransport(url, arena.stack.api_key, timeout=PATIENCE) for url in urls])
    try:
        await revived([replica])
        await arena.add_clients("pro", 2)
        for _ in range(40 if trial.long else 4):
            signal = make_signal(arena.rng, premium=arena.rng.random() < 0.5)
            await doors.copies(signal)
            await doors.changed(signal)
            await doors.rivals(make_signal(arena.rng, premium=False))
        await arena.converged()
        buried = await doors.buried(within=PATIENCE)
    finally:
        await doors.close()
        replica.stop()
    names = Counter(row.key for row in await ground.rows())
    stored = [names[each.key] for each in arena.history.with_outcome(Outcome.OK)]
    trial.count(
        "accepted signals with other than one row", sum(count != 1 for count in stored), of=len(stored), unit="signals"
    )
    told = doors.http_conflicts.total()
    trial.count("conflicts not answered 409", told - doors.http_conflicts[409], of=told, unit="conflicts over HTTP")
    trial.count(
        "conflicts not dead-lettered",
        doors.amqp_conflicts - buried,
        of=doors.amqp_conflicts,
        unit="conflicts over AMQP",
    )
    trial.tally(copies=doors.answers.total(), **{f"answered {told}": count for told, count in doors.answers.items()})
    assert set(stored) == {1}
    assert set(doors.http_conflicts) == {409}
    assert buried == doors.amqp_conflicts
    assert set(doors.answers) <= {"201", "200", "confirmed"}
    trial.judge(arena.findings())


class Doors:
    """Two replicas over HTTP, and AMQP."""

    def __init__(self, arena: Arena, https: list[HttpTransport]) -> None:
        self._arena = arena
        self._https = https
        self._amqp = AmqpTransport(arena.stack.amqp_url, timeout=PATIENCE)
        self._all: list[Transport] = [*https, self._amqp]
        self._sent_to_be_buried: set[str] = set()
        self.answers: Counter[str] = Counter()
        self.http_conflicts: Counter[int] = Counter()

    @property
    def amqp_conflicts(self) -> int:
        """Changed signals that went in over AMQP."""
        return len(self._sent_to_be_buried)

    async def copies(self, content: Content) -> None:
        """One signal a hundred times at once, through all doors."""
        submitted = self._note(content)
        doors = [self._all[number % len(self._all)] for number in range(COPIES)]
        told = await asyncio.gather(*(door.attempt(content) for door in doors))
        self.answers.update(text.split()[0] for _, text in told)
        assert sum(text.startswith("201") for _, text in told) <= 1
        submitted.outcome = Outcome.OK if all(outcome is Outcome.OK for outcome, _ in told) else Outcome.INDETERMINATE

    async def changed(self, content: Content) -> None:
        """Other signals under the name of a stored one."""
        for number in range(CHANGED):
            other = signed({**content, "entry_price": 1.0 + number})
            submitted = self._note(other)
            submitted.outcome, submitted.told = Outcome.FAIL, "in conflict"
            if number % 2:
                await self._amqp.attempt(other)
                self._sent_to_be_buried.add(submitted.key)
            else:
                _, text = await self._https[number % 4 // 2].attempt(other)
                self.http_conflicts[int(text.split()[0])] += 1

    async def rivals(self, content: Content) -> None:
        """Ten signals under one new name, five times each, all at once over HTTP: one of them wins."""
        contents = [signed({**content, "entry_price": 10.0 + number}) for number in range(RIVALS)]
        noted = [self._note(each) for each in contents]
        order = [*range(RIVALS)] * 5
        self._arena.rng.shuffle(order)
        told = await asyncio.gather(*(self._https[at % 2].attempt(contents[at]) for at in order))
        for at, each in enumerate(noted):
            outcomes = {outcome for which, (outcome, _) in zip(order, told, strict=True) if which == at}
            assert len(outcomes) == 1, f"copies of one signal were answered differently: {told}"
            each.outcome, each.told = outcomes.pop(), "a rival"
        assert sum(each.outcome is Outcome.OK for each in noted) == 1
        self.http_conflicts[409] += sum(text.startswith("409") for _, text in told)

    async def buried(self, within: float) -> int:
        """How many changed signals lie with the dead letters, for the right reason; waits for them."""
        deadline = time.monotonic() + within
        while True:
            letters = await dead_letters(self._arena.stack.amqp_url)
            bodies = [letter.body for letter in letters if letter.headers.get("x-reason") == "conflict"]
            count = sum(any(key.encode() in body for body in bodies) for key in self._sent_to_be_buried)
            if count == self.amqp_conflicts or time.monotonic() > deadline:
                return count
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        for transport in self._https:
            await transport.close()
        await self._amqp.close()

    def _note(self, content: Content) -> Submitted:
        submitted = Submitted(str(content["sha256"]), content, time.monotonic())
        self._arena.history.submissions[submitted.key] = submitted
        return submitted
