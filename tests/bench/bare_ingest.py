"""Ingest with nothing in it but what carries a signal from one queue to the next, in batches.

    python -m tests.bench.bare_ingest AMQP_URL DATABASE COUNT

It consumes with aio-pika what waits in a queue of its own, inserts all that has come in one transaction, publishes each with
confirms, all at once, acknowledges the batch, and looks again. It reads no JSON, and checks, numbers, hashes, chains and logs
nothing. Prints signals per second, and per second of its CPU, as JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import aio_pika
import asyncpg
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from tests.bench.bare_log import bare_log
from tests.bench.system import OTHERS_CORE, SERVER_CORE

INBOUND, OUTBOUND = "bench.bare_ingest.inbound", "bench.bare_ingest"
MAX_BATCH, IN_FLIGHT = 500, 500
BODY = b"x" * 600

Insert = Callable[[Sequence[tuple[bytes]]], Awaitable[None]]


@asynccontextmanager
async def table(database: str) -> AsyncIterator[Insert]:
    """A table with a number and a body; yields what inserts and commits a batch."""
    if database.startswith("postgresql"):
        rows = await asyncpg.connect(database.replace("+asyncpg", ""))
        await rows.execute("CREATE TABLE bare (seq BIGSERIAL PRIMARY KEY, body BYTEA)")

        async def insert(batch: Sequence[tuple[bytes]]) -> None:
            await rows.execute("INSERT INTO bare (body) SELECT unnest($1::bytea[])", [body for (body,) in batch])

        yield insert
        await rows.execute("DROP TABLE bare")
        await rows.close()
    else:
        lite = bare_log(f"{database.removeprefix('sqlite+aiosqlite:///')}.bare")

        async def insert(batch: Sequence[tuple[bytes]]) -> None:
            lite.execute("BEGIN IMMEDIATE")
            lite.executemany("INSERT INTO log (body) VALUES (?)", batch)
            lite.execute("COMMIT")

        yield insert
        lite.close()


async def run(amqp_url: str, database: str, count: int) -> dict[str, float]:
    """Fill the queue, then move all of it on; the clock starts with the second."""
    async with await aio_pika.connect(amqp_url) as connection, table(database) as insert:
        channel = await connection.channel(publisher_confirms=True)
        await channel.set_qos(MAX_BATCH)
        inbound = await channel.declare_queue(INBOUND, durable=True)
        outbound = await channel.declare_exchange(OUTBOUND, aio_pika.ExchangeType.FANOUT, auto_delete=True)
        copies = await channel.declare_queue(exclusive=True)
        await copies.bind(outbound)
        for start in range(0, count, IN_FLIGHT):
            many = range(min(IN_FLIGHT, count - start))
            await asyncio.gather(*(channel.default_exchange.publish(message(), INBOUND) for _ in many))

        come: list[AbstractIncomingMessage] = []
        news = asyncio.Event()

        async def take(incoming: AbstractIncomingMessage) -> None:
            come.append(incoming)
            news.set()

        os.sched_setaffinity(0, {SERVER_CORE})
        used, began, moved = time.process_time(), time.monotonic(), 0
        consumer = await inbound.consume(take)
        while moved < count:
            await news.wait()
            news.clear()
            batch, come[:] = list(come), []
            await insert([(each.body,) for each in batch])
            await asyncio.gather(*(outbound.publish(message(each.body), "") for each in batch))
            await batch[-1].ack(multiple=True)
            moved += len(batch)
        used, elapsed = time.process_time() - used, time.monotonic() - began
        os.sched_setaffinity(0, {OTHERS_CORE})
        await inbound.cancel(consumer)
        await inbound.delete(if_empty=False, if_unused=False)
    return {"signals": count, "per_core_s": count / used, "per_s": count / elapsed}


def message(body: bytes = BODY) -> aio_pika.Message:
    """A persistent one, as producers and ingest send."""
    return aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


def main() -> None:
    amqp_url, database, count = sys.argv[1:]
    print(json.dumps(uvloop.run(run(amqp_url, database, int(count)))))


if __name__ == "__main__":
    main()
