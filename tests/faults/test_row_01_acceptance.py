"""Row 1: what was accepted reaches every entitled client, whatever dies on the way."""

import pytest

from tests.faults.arena import TIERS, Arena
from tests.faults.nemesis import Nemesis, kill, revived
from tests.faults.producers import steady
from tests.faults.trial import Trial
from tests.support.stack_factory import StackFactory


@pytest.mark.faults(1, trials=2)
async def test_accepted_signals_reach_every_entitled_client_while_random_services_are_killed(
    trial: Trial, make_stack: StackFactory
) -> None:
    rng = trial.rng
    total, rate, per_tier = (5000, 50.0, 20) if trial.long else (500, 50.0, 4)
    stack = make_stack(gateways=3, database="postgresql")
    async with Arena(stack, rng) as arena:
        for tier in TIERS:
            await arena.add_clients(tier, per_tier)
        producers = [arena.http_producer(), arena.http_producer(), arena.amqp_producer()]
        nemesis = Nemesis(
            rng, [kill(service) for service in stack.services], pause=(2.0, 5.0) if trial.long else (1.0, 2.5)
        )
        async with steady(producers, rng, rate=rate, total=total) as flow:
            async with nemesis.raging():
                await flow.complete.wait()
            await revived(stack.services)
        trial.timing("all delivered after the last kill s", await arena.converged())
        trial.tally(**{f"kills of {kind}": count for kind, count in sorted(nemesis.done.items())})
        trial.tally(
            connections=sum(len(client.sessions) for client in arena.history.clients),
            clients=len(arena.clients),
        )
        trial.judge(arena.findings())
