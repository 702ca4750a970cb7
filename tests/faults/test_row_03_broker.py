"""Row 3: the broker may die in every way it can."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from tests.faults import packets
from tests.faults.arena import TIERS, Arena
from tests.faults.ground import Ground
from tests.faults.history import Outcome
from tests.faults.nemesis import revived
from tests.faults.producers import Producer, make_signal, steady
from tests.faults.trial import Trial
from tests.support.tcp_proxy import TcpProxy

RATE = 20.0
HEARTBEAT = 10.0


async def under_load(trial: Trial, arena: Arena, fault: Callable[[], Awaitable[None]]) -> None:
    """Cause `fault` while signals flow over both ways in, wait until all is delivered, and judge."""
    for tier in TIERS:
        await arena.add_clients(tier, 4 if trial.long else 2)
    producers = [arena.http_producer(), arena.amqp_producer()]
    async with steady(producers, arena.rng, rate=RATE) as flow:
        await flow.seconds(2)
        await fault()
        healed = time.monotonic()
        await flow.seconds(2)
    await arena.converged()
    trial.timing("recovery s", _first_delivery_after(arena, healed))
    trial.judge(arena.findings())


def _first_delivery_after(arena: Arena, healed: float) -> float:
    """Seconds until every client had received a signal that was submitted after the fault was over."""
    late = {each.key for each in arena.history.submissions.values() if each.began >= healed and not each.premium}
    firsts = []
    for client in arena.history.clients:
        arrivals = (
            at
            for session in client.sessions
            for frame, at in zip(session.frames(), session.arrivals, strict=True)
            if frame["type"] == "new_signal" and frame["data"]["hash"] in late
        )
        firsts.append(min(arrivals))
    return max(firsts) - healed


@pytest.mark.faults(3, line="kill -9 and restart", trials=3)
async def test_a_killed_broker_loses_nothing_that_it_confirmed(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        ingest = ground.stack.ingest
        ingest.kill()
        producer = arena.amqp_producer()
        confirmed = await _confirmed(producer, arena, 200)
        await ground.kill_broker()
        await ground.start_broker()
        await revived([ingest])
        trial.tally(**{"messages in the quorum queue at the kill": len(confirmed)})

    await under_load(trial, arena, fault)


async def _confirmed(producer: Producer, arena: Arena, count: int) -> list[str]:
    done = [await producer.submit(make_signal(arena.rng, premium=number % 3 == 0)) for number in range(count)]
    assert all(each.outcome is Outcome.OK for each in done)
    return [each.key for each in done]


@pytest.mark.faults(3, line="stop_app and start_app")
async def test_a_broker_whose_application_stops_and_starts_is_survived(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    async def fault() -> None:
        await ground.ctl("stop_app")
        await ground.ctl("start_app")

    if not trial.long:
        pytest.skip("in the long form only")
    await under_load(trial, arena, fault)


@pytest.mark.faults(3, line="close_all_connections", trials=3)
async def test_connections_that_the_broker_closes_are_made_again(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        for _ in range(3 if trial.long else 1):
            await ground.ctl("close_all_connections", "--vhost", ground.host.name, "fault trial")

    await under_load(trial, arena, fault)


@pytest.mark.faults(3, line="SIGSTOP for three heartbeats")
async def test_a_frozen_broker_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    async def fault() -> None:
        ground.broker.pause()
        await asyncio.sleep(3 * HEARTBEAT if trial.long else 4)
        ground.broker.resume()

    await under_load(trial, arena, fault)


@pytest.mark.faults(3, line="packets dropped for 10–120 s", trials=2)
async def test_dropped_packets_are_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    if not packets.permitted():
        trial.note("nftables is not permitted here: see the black hole of the proxy")
        pytest.skip("nftables is not permitted here")

    async def fault() -> None:
        with packets.dropped(ground.broker.port):
            seconds = (10.0, 120.0)[trial.seed % 2] if trial.long else 3.0
            await asyncio.sleep(seconds)

    await under_load(trial, arena, fault)


@pytest.mark.faults(3, line="latency, slices, resets and black holes")
async def test_a_bad_network_to_the_broker_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    if not trial.long:
        pytest.skip("in the long form only")
    stack = ground.stack
    direct = stack.amqp_url
    async with TcpProxy(ground.broker.port) as proxy:
        parts = urlsplit(direct)
        through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        try:
            await _use(ground, through)

            async def fault() -> None:
                proxy.latency, proxy.slice_bytes = 0.02, 7
                await asyncio.sleep(5)
                proxy.latency, proxy.slice_bytes = 0.0, 65536
                for _ in range(3):
                    proxy.reset_all()
                    await asyncio.sleep(2)
                proxy.passing.clear()
                await asyncio.sleep(15)
                proxy.passing.set()

            await under_load(trial, arena, fault)
        finally:
            await _use(ground, direct)


async def _use(ground: Ground, amqp_url: str) -> None:
    """Start all services anew on another broker URL."""
    for service in ground.stack.services:
        service.kill()
        service.environment["AMQP_URL"] = amqp_url
        service.spawn()
    await revived(ground.stack.services)
