"""Nothing between the broker and a socket touches a database."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.http import async_http
from tests.support.postgres import Postgres
from tests.support.producers import standard
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

SIGNALS, SOCKETS, USERS = 1000, 200, 100
DATABASE_DRIVERS = ("sqlite", "asyncpg", "sqlalchemy", "psycopg")


async def last_statements(url: str) -> list[tuple[int, object]]:
    """Each session of this database, and when its last statement began: any further statement changes it."""
    address, _, name = url.rpartition("/")
    engine = create_async_engine(f"{address}/postgres")
    try:
        async with engine.connect() as connection:
            query = text("select pid, query_start from pg_stat_activity where datname = :name order by pid")
            return [(row.pid, row.query_start) for row in await connection.execute(query, {"name": name})]
    finally:
        await engine.dispose()


async def publish_events(
    stack: Stack, after: int, template: dict[str, object], headers: dict[str, object], count: int
) -> None:
    """Publish the log's next entries as ingest would, which is frozen."""
    async with await aio_pika.connect(stack.amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange("signals.events")
        publishing = []
        for seq in range(after + 1, after + 1 + count):
            body = json.dumps({**template, "id": str(uuid4())}).encode()
            event = aio_pika.Message(
                body,
                headers={**headers, "seq": seq, "standard_seq": seq, "published_at": time.time()},
                type="signal.published",
            )
            publishing.append(exchange.publish(event, "", mandatory=False))
        await asyncio.gather(*publishing)


@pytest.mark.timeout(300)
async def test_a_thousand_signals_reach_two_hundred_sockets_while_every_owner_of_a_database_is_frozen(
    make_stack: StackFactory,
) -> None:
    stack = make_stack(database="postgresql")
    await asyncio.gather(*(stack.set_tier(f"user-{number}", "pro") for number in range(USERS)))
    async with AsyncExitStack() as sockets:
        clients = [stack.client(f"user-{number % USERS}") for number in range(SOCKETS)]
        for client in clients:
            await sockets.enter_async_context(client)
            await client.first("connected")
        assert (await stack.publish(standard())).status_code == 201
        for client in clients:
            await client.signals_received(1)
        async with async_http(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}) as http:
            page = (await http.get("/api/v1/log")).json()
        entry = page["entries"][0]  # standard: however long the freeze takes, no lapsed lease withholds it
        kept = ("feed", "symbol", "received_at", "committed_at")
        headers = {name: entry[name] for name in kept} | {
            "epoch": page["epoch"],
            "schema": 1,
            "type": "signal.published",
        }

        stack.ingest.pause()
        stack.tiers.pause()
        try:
            before = [await last_statements(url) for url in (stack.ingest_database, stack.tiers_database)]
            await publish_events(stack, page["head"], entry["data"], headers, SIGNALS)
            for client in clients:
                await client.signals_received(1 + SIGNALS, within=150)
            after = [await last_statements(url) for url in (stack.ingest_database, stack.tiers_database)]
        finally:
            stack.ingest.resume()
            stack.tiers.resume()
        assert all(before), "the check can see sessions"
        assert after == before
        for client in clients:
            assert client.seqs == list(range(1, 2 + SIGNALS))


async def test_the_gateway_has_no_database_driver_in_memory_and_no_connection_to_a_database(
    make_stack: StackFactory, postgres: Postgres
) -> None:
    stack = make_stack(database="postgresql")
    port = urlsplit(postgres.url).port
    gateway = psutil.Process(stack.gateway.pid)
    loaded = {Path(mapped.path).name.lower() for mapped in gateway.memory_maps()}
    assert any("picows" in name for name in loaded), "the check can see what is loaded"
    assert not [name for name in loaded if any(driver in name for driver in DATABASE_DRIVERS)]
    owners = {
        connection.raddr.port for connection in psutil.Process(stack.ingest.pid).net_connections() if connection.raddr
    }
    assert port in owners, "the check can see connections"
    peers = {connection.raddr.port for connection in gateway.net_connections() if connection.raddr}
    assert port not in peers
