"""The histogram that the promise is measured by."""

import pytest
from prometheus_client import CollectorRegistry

from tiercast_gateway.delivery_times import DeliveryTimes
from tiercast_gateway.feed import Applied
from tiercast_gateway.ring import LogEntry, RingItem
from tiercast_gateway.time_histogram import BOUNDS
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier

FEEDS = {Tier.STARTER: Feed.STANDARD, Tier.PRO: Feed.ALL, Tier.ELITE: Feed.ALL}


class Scene:
    def __init__(self) -> None:
        self.times, self.registry = DeliveryTimes(FEEDS), CollectorRegistry()
        self.registry.register(self.times)

    def delivered(self, tier: Tier, within: float | None = None) -> float | None:
        """Deliveries to a tier, or those within some seconds."""
        if within is None:
            return self.registry.get_sample_value("tiercast_gateway_delivery_seconds_count", {"tier": tier})
        labels = {"tier": tier, "le": str(float(within))}
        return self.registry.get_sample_value("tiercast_gateway_delivery_seconds_bucket", labels)

    def spent(self, tier: Tier) -> float | None:
        return self.registry.get_sample_value("tiercast_gateway_delivery_seconds_sum", {"tier": tier})


@pytest.fixture
def scene() -> Scene:
    return Scene()


def signal(received_at: float, *, premium: bool, published_at: float | None = 100.0) -> Applied:
    entry = LogEntry(
        position=7,
        standard_seq=None if premium else 3,
        symbol="AAPL",
        data=b"{}",
        received_at=received_at,
        committed_at=received_at,
        published_at=published_at,
        correlation_id=None,
    )
    standard = None if premium else RingItem(3, entry, "c")
    return Applied(RingItem(7, entry, "c"), standard, received_at)


def test_the_promise_is_a_bucket():
    assert 0.5 in BOUNDS
    assert BOUNDS[0] == 0.0005


def test_every_tier_is_there_at_0(scene):
    assert [scene.delivered(tier) for tier in Tier] == [0, 0, 0]
    assert [scene.delivered(tier, 0.5) for tier in Tier] == [0, 0, 0]


def test_a_signal_counts_once_for_every_connection_of_the_tiers_entitled_to_it(scene):
    scene.times.written([signal(99.9, premium=True)], {Tier.STARTER: 10, Tier.PRO: 3, Tier.ELITE: 1}, 100.0)
    assert [scene.delivered(tier) for tier in (Tier.STARTER, Tier.PRO, Tier.ELITE)] == [0, 3, 1]
    scene.times.written([signal(99.9, premium=False)], {Tier.STARTER: 10, Tier.PRO: 0, Tier.ELITE: 1}, 100.0)
    assert [scene.delivered(tier) for tier in (Tier.STARTER, Tier.PRO, Tier.ELITE)] == [10, 3, 2]
    assert scene.spent(Tier.STARTER) == pytest.approx(1.0)


def test_what_took_exactly_the_promised_time_is_within_it_and_what_took_longer_is_not(scene):
    batch = [signal(99.5, premium=False), signal(99.0, premium=False), signal(50.0, premium=False)]
    scene.times.written(batch, {Tier.PRO: 1}, 100.0)
    assert scene.delivered(Tier.PRO, 0.5) == 1
    assert scene.delivered(Tier.PRO, 1) == 2
    assert scene.delivered(Tier.PRO, 10) == 2
    assert scene.delivered(Tier.PRO) == 3


def test_a_signal_that_had_to_be_fetched_from_the_log_counts_too(scene):
    scene.times.written([signal(90.0, premium=False, published_at=None)], {Tier.PRO: 5}, 100.0)
    assert (scene.delivered(Tier.PRO), scene.delivered(Tier.PRO, 0.5)) == (5, 0)


def test_a_clock_that_is_behind_counts_as_no_time(scene):
    scene.times.written([signal(101.0, premium=False)], {Tier.PRO: 1}, 100.0)
    assert (scene.delivered(Tier.PRO, 0.0005), scene.spent(Tier.PRO)) == (1, 0)
