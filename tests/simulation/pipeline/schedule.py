"""One schedule, wholly determined by its seed: a few simulated seconds of work and faults, then healing."""

import asyncio
import random
from collections import Counter

from tests.simulation.pipeline import virtual_time
from tests.simulation.pipeline.world import World
from tiercast_shared.contracts.tiers import Tier

STEPS = 70


def play(seed: int, steps: int = STEPS) -> Counter[str]:
    """Play it; returns what was met.

    Raises:
        AssertionError: a promise was broken.
    """
    return virtual_time.run(_play(random.Random(seed), steps))


def shortest(seed: int) -> int:
    """The fewest steps of a failing seed that still fail. What follows a step never changes it, so every prefix is a schedule."""
    return next((steps for steps in range(STEPS) if _fails(seed, steps)), STEPS)


def _fails(seed: int, steps: int) -> bool:
    try:
        play(seed, steps)
    except AssertionError:
        return True
    return False


async def _play(chance: random.Random, steps: int) -> Counter[str]:
    world = World(chance)
    world.set_tier("payer", Tier.PRO)
    await _everybody_is_up(world)
    contradictions: list[asyncio.Task[None]] = []
    for _ in range(steps):
        await asyncio.sleep(chance.choice((0.0, 0.02, 0.1, 0.3)))
        step(world, chance, contradictions)
        world.mind_closed()
        world.check_hosts()
    await world.heal()
    await asyncio.gather(*contradictions)
    world.check()
    return world.met


async def _everybody_is_up(world: World) -> None:
    """The first steps are to meet something that runs; the payer pays before the first signal."""
    while not (world.changes[0].done() and all(replica.ready for replica in world.replicas)):  # noqa: ASYNC110 - simulated time
        await asyncio.sleep(0.1)
    for client in world.clients:
        world.connect(client)


def step(world: World, chance: random.Random, contradictions: list[asyncio.Task[None]]) -> None:  # noqa: C901, PLR0912 - one branch per kind of step
    kind = chance.random()
    if kind < 0.38:
        for _ in range(chance.choice((1, 1, 2, 5))):
            world.submit(premium=chance.random() < 0.5)
    elif kind < 0.72:
        world.client_step()
    elif kind < 0.80:
        world.set_tier("flapper", chance.choice(tuple(Tier)))
    elif kind < 0.82:
        contradictions.append(asyncio.get_running_loop().create_task(world.contradict()))
    elif kind < 0.845:
        world.kill_ingest()
    elif kind < 0.87:
        world.stop_ingest()
    elif kind < 0.885:
        world.kill_tiers()
    elif kind < 0.905:
        world.kill_replica()
    elif kind < 0.92:
        world.drain_replica()
    elif kind < 0.935:
        world.database_away()
    elif kind < 0.95:
        world.block()
    elif kind < 0.97:
        world.lose_queue()
    elif kind < 0.973:
        world.rotate_epoch()
    elif kind < 0.98:
        world.archive()
    else:
        world.weather.turn()
