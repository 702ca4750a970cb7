"""Row 10: premium never reaches a STARTER, whatever happens to the news of tiers."""

import asyncio
import time

import pytest

from tests.faults.arena import Arena
from tests.faults.checker import PREMIUM_BYTES
from tests.faults.disorder import Disorder
from tests.faults.ground import Ground
from tests.faults.history import ENTITLED, ClientRecord, TierSetting
from tests.faults.nemesis import Nemesis, kill, revived
from tests.faults.producers import steady
from tests.faults.trial import Trial

RATE = 10.0


@pytest.mark.faults(10)
async def test_premium_never_reaches_a_starter_while_tiers_flap_and_their_events_are_disordered(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    starters, flappers, seconds = (200, 200, 75.0) if trial.long else (20, 20, 12.0)
    await arena.add_clients("starter", starters, per_user=1, connected=False)
    await arena.add_clients("pro", flappers, per_user=1, name="flapper")
    users = sorted({client.record.user for client in arena.clients if "flapper" in client.record.name})
    async with Disorder.of(ground, "tiers.events", arena.rng) as disorder:

        async def repeated() -> str:
            await disorder.repeat(200)
            return "times old tier events were repeated in any order"

        async def dropped() -> str:
            await disorder.drop(arena.rng.uniform(0.0, 2.0))
            return "times a gateway missed tier events"

        nemesis = Nemesis(arena.rng, [repeated, dropped, kill(arena.stack.tiers)], pause=(0.5, 3.0))
        async with steady([arena.http_producer()], arena.rng, rate=RATE, premium_share=0.7) as flow, nemesis.raging():
            until = time.monotonic() + seconds
            await asyncio.gather(*(_flap(arena, user, until, trial.long) for user in users))
        await revived(arena.stack.services)
        await arena.add_clients("elite", 2)  # who must get everything, and show what flowed
    trial.tally(signals=flow.sent, **nemesis.done)
    for user in users:
        await arena.certainly_set_tier(user, "starter")
    await arena.converged()
    trial.timing("downgrade to effect ms", *_effects(arena))
    late = _late_premium(arena)
    trial.timing("premium after an answered downgrade ms", *late)
    trial.note("a premium byte after an answered downgrade counts as leaked once the tier lease of 30 s is over")
    trial.judge(arena.findings())


async def _flap(arena: Arena, user: str, until: float, long: bool) -> None:
    """Change a user's tier again and again; each change is asked for until it is answered."""
    while time.monotonic() < until:
        await asyncio.sleep(arena.rng.uniform(0.5, 12.0 if long else 5.0))
        await arena.certainly_set_tier(user, arena.rng.choice(("starter", "pro")))


def _effects(arena: Arena) -> list[float]:
    """From the answer of a downgrade to the `tier_changed` that shows it, milliseconds; 0 if that was sooner."""
    samples = []
    for client, settings in _flapping(arena):
        shown = [
            at
            for session in client.sessions
            for frame, at in zip(session.frames(), session.arrivals, strict=True)
            if frame["type"] == "tier_changed" and frame["user_tier"] == "starter"
        ]
        for before, setting, after in zip(settings, settings[1:], [*settings[2:], None], strict=False):
            if before.tier in ENTITLED and setting.tier == "starter" and setting.answered is not None:
                end = after.asked if after is not None else float("inf")
                first = next((at for at in shown if setting.asked <= at < end), None)
                if first is not None:
                    samples.append(max(0.0, first - setting.answered) * 1000)
    return samples


def _late_premium(arena: Arena) -> list[float]:
    """How long after an answered downgrade premium bytes still came, milliseconds."""
    samples = []
    for client, settings in _flapping(arena):
        for session in client.sessions:
            for raw, at in zip(session.raw, session.arrivals, strict=True):
                earlier = [setting for setting in settings if setting.asked <= at]
                if earlier and earlier[-1].tier == "starter" and any(text in raw for text in PREMIUM_BYTES):
                    answered = earlier[-1].answered
                    if answered is not None and answered < at:
                        samples.append((at - answered) * 1000)
    return samples


def _flapping(arena: Arena) -> list[tuple[ClientRecord, list[TierSetting]]]:
    by_user: dict[str, list[TierSetting]] = {}
    for setting in arena.history.tiers:
        by_user.setdefault(setting.user, []).append(setting)
    return [(client, by_user[client.user]) for client in arena.history.clients if "flapper" in client.name]
