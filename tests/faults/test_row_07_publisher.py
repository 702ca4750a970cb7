"""Row 7: one replica publishes, another takes over when it is frozen, and a zombie that wakes up is harmless."""

import asyncio
import time

import psutil
import pytest

from tests.faults.arena import PATIENCE, TIERS, Arena
from tests.faults.ground import Ground
from tests.faults.nemesis import revived
from tests.faults.producers import steady
from tests.faults.tap import Tap
from tests.faults.trial import Trial
from tests.support.services import Service

RATE = 40.0
LEASE = "SELECT holder FROM signal_log_publisher WHERE until > extract(epoch from clock_timestamp())"


async def holder(ground: Ground, replicas: list[Service]) -> Service | None:
    """Which replica holds the lease now: holders are named after host and process."""
    async with ground.session() as session:
        name = await session.fetchval(LEASE) or ""
    return next((replica for replica in replicas if f"-{replica.pid}-" in name), None)


async def make_holder(ground: Ground, wanted: Service, other: Service) -> None:
    """Let `wanted` take the lease, by ending `other` for a moment."""
    other.kill()
    async with asyncio.timeout(PATIENCE):
        while await holder(ground, [wanted]) is None:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.1)
    await revived([other])


@pytest.mark.faults(7, line="SIGSTOP of the holder for 30 s, then SIGCONT", trials=2)
async def test_a_frozen_publisher_is_replaced_and_does_no_harm_when_it_wakes_up(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    replica = arena.replica_of_ingest()
    replica.spawn()
    try:
        await revived([replica])
        await make_holder(ground, replica, arena.stack.ingest)
        for tier in TIERS:
            await arena.add_clients(tier, 2)
        producers = [arena.http_producer(), arena.amqp_producer(), arena.http_producer(replica.url)]
        async with Tap.open(arena.stack.amqp_url, "signals.events") as tap:
            async with steady(producers, arena.rng, rate=RATE) as flow:
                await flow.seconds(2)
                stopped = time.monotonic()
                replica.pause()
                await asyncio.sleep(30 if trial.long else 7)
                continued = time.monotonic()
                replica.resume()
                await flow.seconds(4)
            await arena.converged()
            trial.timing("publishing resumed s", tap.longest_silence(stopped, continued), target=5.0)
            _judge_published(trial, tap)
    finally:
        replica.stop()
    trial.judge(arena.findings())


@pytest.mark.faults(7, line="the holder's database sessions terminated", trials=3)
async def test_a_publisher_that_loses_its_database_sessions_goes_on(trial: Trial, ground: Ground, arena: Arena) -> None:
    replica = arena.replica_of_ingest()
    replica.spawn()
    try:
        await revived([replica])
        await arena.add_clients("pro", 2)
        producers = [arena.http_producer(), arena.amqp_producer(), arena.http_producer(replica.url)]
        async with Tap.open(arena.stack.amqp_url, "signals.events") as tap:
            async with steady(producers, arena.rng, rate=RATE) as flow:
                await flow.seconds(1)
                began, ended = time.monotonic(), 0
                for _ in range(10 if trial.long else 2):
                    found = await holder(ground, [arena.stack.ingest, replica])
                    if found is not None:
                        ended += await _end_sessions(ground, found)
                    await flow.seconds(0.5)
                await flow.seconds(2)
                over = time.monotonic()
            await arena.converged()
            trial.tally(**{"sessions terminated": ended})
            trial.timing("longest silence s", tap.longest_silence(began, over), target=5.0)
            _judge_published(trial, tap)
    finally:
        replica.stop()
    trial.judge(arena.findings())


async def _end_sessions(ground: Ground, replica: Service) -> int:
    ports = [connection.laddr.port for connection in psutil.Process(replica.pid).net_connections() if connection.raddr]
    async with ground.session() as session:
        ended = await session.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1)", ports
        )
    return len(ended)


def _judge_published(trial: Trial, tap: Tap) -> None:
    signals, differing = tap.signals(), tap.differing()
    trial.count("same seq with another body", len(differing), of=len(signals), unit="published messages")
    trial.tally(**{"published again": tap.repeated()})
    assert signals, "the tap hears"
    assert not differing, differing[:3]
