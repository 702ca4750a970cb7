"""Whatever tiers, look-ups, leases, sockets and resumes do at once, nobody is sent too much, twice, or silently too little."""

import asyncio

from tests.simulation.gateway.session_world import play

SCHEDULES = 600
STEPS = 80


def test_every_seeded_schedule_ends_with_everyone_having_what_is_owed() -> None:
    signals = clients = told = 0
    for seed in range(SCHEDULES):
        try:
            world = asyncio.run(play(seed, STEPS))
        except AssertionError as error:
            error.add_note(f"play({seed}, {STEPS}) shows it again")
            raise
        signals += sum(len(client.got) for client in world.clients)
        clients += len(world.clients)
        told += sum(client.told for client in world.clients)
    assert signals > 20 * SCHEDULES
    assert clients > 4 * SCHEDULES
    assert told > 0, "no client ever had to be told"
