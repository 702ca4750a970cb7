"""However crashes, duplicates, disorder, losses and leases interleave: nothing leaks, nothing is lost, and all agree in the end."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.pipeline import results
from tests.simulation.pipeline.schedule import play, shortest
from tiercast_shared.errors import reasons

SCHEDULES = 1000
"""More by `make simulate SEEDS=n`."""

SLICES = 10
"""Each has a test of its own, so that no time-out depends on the machine."""

FAULTS = (
    "ingests killed",
    "ingests stopped",
    "tiers killed",
    "gateways killed",
    "gateways drained",
    "databases away",
    "broker blocked",
    "queues lost",
    "epochs",
    "archived",
    "clients dropped",
    "conflicts",
    "submissions repeated",
    "told to resync",
)


@pytest.fixture(autouse=True)
def _no_logs() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(SLICES))
def test_every_seeded_schedule_is_safe_and_converges(part: int) -> None:
    met: Counter[str] = Counter()
    seeds = range(part * SCHEDULES // SLICES, (part + 1) * SCHEDULES // SLICES)
    for seed in seeds:
        try:
            met += play(seed)
        except AssertionError as error:
            results.write(f"pipeline {part}", seeds=seed - seeds.start + 1, failing=[seed], met=met)
            error.add_note(f"play({seed}, {shortest(seed)}) shows it again: {reasons(error)}")
            raise
    results.write(f"pipeline {part}", seeds=len(seeds), failing=[], met=met)
    assert met["signals read"] > 30 * len(seeds)
    assert not [fault for fault in FAULTS if not met[fault]], f"the schedules met too little: {met}"


def test_a_seed_is_played_the_same_way_again() -> None:
    assert [play(seed) for seed in (3, 4)] == [play(seed) for seed in (3, 4)]


@pytest.mark.parametrize("seed", [396, 442, 857, 867])
def test_a_seed_that_once_failed(seed: int) -> None:
    """A change that overtook an older one of the same user: the user was given what the newer one had taken away."""
    play(seed)
