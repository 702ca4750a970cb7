"""Producers above their limit: refused where they can be told, kept waiting in their order where they cannot."""

import asyncio

import pytest

from tiercast_ingest.producer_limits import ProducerLimits, TooManySignals

LARGE = 1_000_000


def limits(default: int = LARGE, **own: int) -> ProducerLimits:
    return ProducerLimits(own.get, default)


def refused(limits: ProducerLimits, producer: str) -> bool:
    """Count signals until one is refused; False if a thousand were not."""
    try:
        for _ in range(1000):
            limits.count(producer)
    except TooManySignals:
        return True
    return False


def drained(limits: ProducerLimits, producer: str) -> None:
    """Use up what a producer may send now."""
    while limits.admits(producer):
        pass


def test_above_the_limit_it_is_said_how_much_is_allowed_and_when_to_come_back():
    some = limits(default=3)
    assert refused(some, "acme")
    with pytest.raises(TooManySignals, match="3 signals in a second") as refusal:
        some.check("acme")
    assert (refusal.value.status, refusal.value.code) == (429, "too_many_requests")
    assert 0 <= refusal.value.retry_after <= 1


def test_a_look_counts_nothing():
    some = limits(default=500)
    for _ in range(600):
        some.check("acme")
    assert refused(some, "acme")


def test_each_producer_has_its_own_limit_or_the_default():
    some = limits(default=3, large=LARGE)
    assert refused(some, "acme")
    assert not refused(some, "large")
    assert refused(some, "other")


async def test_who_waits_is_served_in_order_and_holds_nobody_else_up():
    some = limits(default=20)
    drained(some, "slow")
    served: list[int] = []

    async def wait(number: int) -> None:
        await some.turn("slow")
        served.append(number)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(wait(number))
        await asyncio.sleep(0)
        assert not some.admits("slow"), "nobody overtakes those who wait"
        assert some.admits("quick")
    assert served == list(range(50))


async def test_nothing_is_kept_of_producers_that_do_not_wait():
    some = limits(default=5)
    drained(some, "slow")
    async with asyncio.timeout(60):
        await some.turn("slow")
    assert len(some._waiting) == 0


async def test_a_cancelled_wait_lets_the_next_one_in():
    some = limits(default=5)
    drained(some, "slow")
    first = asyncio.create_task(some.turn("slow"))
    second = asyncio.create_task(some.turn("slow"))
    await asyncio.sleep(0)
    first.cancel()
    async with asyncio.timeout(60):
        await second
    assert first.cancelled() or first.done()
