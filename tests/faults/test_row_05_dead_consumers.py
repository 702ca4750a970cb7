"""Row 5: no consumer is dead in silence."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.arena import PATIENCE, TIERS, Arena
from tests.faults.client import ResumingClient
from tests.faults.ground import INBOUND, Ground, restarts, shown_dead_within
from tests.faults.nemesis import all_ready, revived
from tests.faults.producers import Flow, steady, until
from tests.faults.trial import Trial
from tests.support.http import async_http
from tests.support.services import Service
from tests.support.tcp_proxy import TcpProxy

RATE = 20.0
DETECTED_WITHIN = 60.0  # seconds until a trial fails
PROMISED = 3.0  # seconds; on a quiet machine


@asynccontextmanager
async def watched(trial: Trial, flow: Flow, service: Service) -> AsyncIterator[None]:
    """What the block breaks is shown by the service, and then it is ready again; note how long each took."""
    before = await restarts(service)
    yield
    noticed = await shown_dead_within(service, before, DETECTED_WITHIN)
    assert noticed is not None, "the death was never shown"
    seconds, missing = noticed
    assert {"consumer", "inbound"} & missing, missing
    trial.timing("detected s", seconds, target=PROMISED)
    began = asyncio.get_running_loop().time()
    await service.ready(PATIENCE)
    trial.timing("consuming again s", asyncio.get_running_loop().time() - began)
    await flow.seconds(1)


@pytest.mark.faults(5, line="gateway's queue deleted", trials=3)
async def test_a_deleted_queue_of_a_gateway_is_noticed_and_replaced(trial: Trial, ground: Ground, arena: Arena) -> None:
    for tier in TIERS:
        await arena.add_clients(tier, 2)
    async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
        gateway = arena.rng.choice(arena.stack.gateways)
        (queue,) = [
            name for name in await ground.queues() if name.startswith(f"gateway.{socket.gethostname()}-{gateway.port}.")
        ]
        async with watched(trial, flow, gateway):
            await ground.ctl("delete_queue", queue, "--vhost", ground.host.name)
    await arena.converged()
    trial.judge(arena.findings())


@pytest.mark.faults(5, line="ingest's queue deleted", trials=3)
async def test_a_deleted_inbound_queue_is_noticed_and_declared_anew(trial: Trial, ground: Ground, arena: Arena) -> None:
    await arena.add_clients("pro", 2)
    async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
        async with watched(trial, flow, arena.stack.ingest):
            (await ground.manage("DELETE", f"queues/{{vhost}}/{INBOUND}")).raise_for_status()
    async with steady([arena.amqp_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
    await arena.converged()
    trial.judge(arena.findings())


@pytest.mark.faults(5, line="channel error: the exchange deleted", trials=3)
async def test_a_channel_error_of_the_publisher_is_survived(trial: Trial, ground: Ground, arena: Arena) -> None:
    for tier in TIERS:
        await arena.add_clients(tier, 2)
    async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
        (await ground.manage("DELETE", "exchanges/{vhost}/signals.events")).raise_for_status()
        await flow.seconds(6)
        await all_ready(arena.stack.services)
    trial.timing("all delivered s", await arena.converged())
    trial.timing(
        "fresh again s", await until(lambda: not any(map(stale, arena.clients)), PATIENCE, "nobody is told stale")
    )
    trial.judge(arena.findings())


@pytest.mark.faults(5, line="exclusive queue held by a half-open connection")
async def test_an_exclusive_queue_that_a_half_open_connection_holds_is_left_behind(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    if not trial.long:
        pytest.skip("in the long form only")
    gateway, direct = arena.stack.gateways[0], arena.stack.amqp_url
    parts = urlsplit(direct)
    async with TcpProxy(ground.broker.port) as proxy:
        through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        try:
            gateway.kill()
            gateway.environment["AMQP_URL"] = through
            await revived([gateway])
            await arena.add_clients("pro", 4)
            async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
                await flow.seconds(1)
                before = set(await ground.queues())
                async with watched(trial, flow, gateway):
                    proxy.swallow_open()
                held = before & set(await ground.queues())
                trial.tally(**{"old queues still held when the new one was consumed": len(held - {INBOUND})})
            await arena.converged()
        finally:
            gateway.kill()
            gateway.environment["AMQP_URL"] = direct
            await revived([gateway])
    trial.judge(arena.findings())


@pytest.mark.faults(5, line="ingest stopped", trials=2)
async def test_while_ingest_is_away_replicas_stay_ready_and_clients_are_told(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    for tier in TIERS:
        await arena.add_clients(tier, 2)
    async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
    began = asyncio.get_running_loop().time()
    arena.stack.ingest.kill()
    await until(lambda: all(map(stale, arena.clients)), PATIENCE, "clients told stale")
    trial.timing("told stale s", asyncio.get_running_loop().time() - began)
    for gateway in arena.stack.gateways:
        async with async_http() as http:
            answer = await http.get(f"{gateway.url}/readyz")
        assert answer.status_code == httpx.codes.OK, answer.text
    await revived([arena.stack.ingest])
    await until(lambda: not any(map(stale, arena.clients)), PATIENCE, "clients told fresh")
    await arena.converged()
    trial.judge(arena.findings())


def stale(client: ResumingClient) -> bool:
    """Whether the last that this client was told of upstream is that it is silent."""
    told = [kind for raw in client.record.sessions[-1].raw for kind in (b'"stale"', b'"fresh"') if kind in raw]
    return bool(told) and told[-1] == b'"stale"'
