"""Row 14: poison is put aside with its reason and blocks nothing, and nothing good goes with it."""

import asyncio
import json
import time

import pytest

from tests.faults.arena import PATIENCE, Arena
from tests.faults.dead import dead_letters
from tests.faults.ground import Ground
from tests.faults.history import Outcome
from tests.faults.nemesis import Fault, Nemesis, revived
from tests.faults.producers import AmqpTransport, Flow, make_signal, steady, until
from tests.faults.trial import Trial
from tests.support.producers import signed
from tests.support.services import Service

RATE = 75.0


class Poison:
    """Malformed messages, and the reason for which each must be put aside."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._transport = AmqpTransport(arena.stack.amqp_url, timeout=PATIENCE)
        self.reasons: dict[str, str] = {}
        """By message id."""
        self._number = 0

    async def send(self) -> None:
        """Publish one, until it is confirmed."""
        self._number += 1
        signal = make_signal(self._arena.rng, premium=self._number % 2 == 0)
        name = str(signal["signal_id"])
        body, reason = self._kinds(signal)[self._number % 5]
        self.reasons[name] = reason
        outcome, _ = await self._transport.publish(body, name)
        assert outcome is Outcome.OK, "nothing happens to the broker here"

    async def close(self) -> None:
        await self._transport.close()

    def _kinds(self, signal: dict[str, object]) -> list[tuple[bytes, str]]:
        return [
            (b"{not json", "invalid_json"),
            (json.dumps({**signal, "sha256": "0" * 64}).encode(), "hash_mismatch"),
            (json.dumps(signed({**signal, "confidence": 101})).encode(), "invalid_field"),
            (json.dumps({name: value for name, value in signal.items() if name != "symbol"}).encode(), "invalid_field"),
            (json.dumps(signed({**signal, "symbol": "A\0B"})).encode(), "invalid_field"),
        ]


@pytest.mark.faults(14)
async def test_poison_is_put_aside_with_its_reason_while_consumers_and_the_database_die(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    total, kills = (6000, 20) if trial.long else (300, 2)
    await arena.add_clients("pro", 2)
    poison = Poison(arena)
    nemesis = Nemesis(arena.rng, [killed_while_consuming(arena.stack.ingest)], pause=(0.2, 1.5))
    try:
        async with steady([arena.amqp_producer()], arena.rng, rate=RATE, total=total) as flow:
            async with nemesis.raging(), asyncio.TaskGroup() as group:
                group.create_task(_one_in_a_hundred(poison, flow, total))
                await until(lambda: nemesis.done["ingest"] >= kills // 2, PATIENCE * 2, "half of the kills")
                await ground.stop_postgres()
                await asyncio.sleep(10 if trial.long else 1.5)
                await ground.start_postgres()
                await until(lambda: nemesis.done["ingest"] >= kills, PATIENCE * 2, "all kills")
                await flow.complete.wait()
            await revived(arena.stack.services)
        await arena.converged()
        letters = await _buried(arena, set(poison.reasons), within=PATIENCE)
    finally:
        await poison.close()
    wrong = [name for name, reason in poison.reasons.items() if reason not in letters.get(name, [])]
    good = {each.content["signal_id"] for each in arena.history.submissions.values()}
    buried = good & set(letters)
    trial.count("poison not dead-lettered with its reason", len(wrong), of=len(poison.reasons), unit="poison messages")
    trial.count("good messages dead-lettered", len(buried), of=len(good), unit="good messages")
    trial.tally(**{"consumer kills": nemesis.done["ingest"], "poison": len(poison.reasons)})
    trial.tally(
        **{"dead letters twice": sum(len(each) - 1 for name, each in letters.items() if name in poison.reasons)}
    )
    assert not wrong, [(name, poison.reasons[name], letters.get(name)) for name in wrong[:5]]
    assert not buried
    trial.judge(arena.findings())


def killed_while_consuming(service: Service) -> Fault:
    """`kill -9`, and no other fault until it is ready again: what it was sent is delivered once more."""

    async def fault() -> str:
        service.kill()
        service.spawn()
        await service.ready(PATIENCE)
        return service.kind

    return fault


async def _one_in_a_hundred(poison: Poison, flow: Flow, total: int) -> None:
    for _ in range(total // 100):
        await poison.send()
        await flow.seconds(100 / RATE)


async def _buried(arena: Arena, names: set[str], within: float) -> dict[str, list[str]]:
    """The reasons of all dead letters by message id; waits until `names` are among them."""
    deadline = time.monotonic() + within
    while True:
        found: dict[str, list[str]] = {}
        for letter in await dead_letters(arena.stack.amqp_url):
            found.setdefault(str(letter.message_id), []).append(str(letter.headers.get("x-reason")))
        if names <= set(found) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.5)
