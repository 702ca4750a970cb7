"""Signals a second that one core of ingest stores and publishes, over AMQP and HTTP, on PostgreSQL and SQLite.

    python -m tests.bench.ingest [--signals 20000] [--repetitions 3] [--batches]

Over AMQP the signals wait in the queue before ingest is let loose on them; over HTTP they come 500 at once, or one at a time over
32 connections. The clock stops when the last one is committed and published with confirms. The figure is signals per second of
ingest's CPU. The floor does the same one by one: each signal in a transaction of its own, published and confirmed before the
next is looked at. Beside it stands an ingest that moves batches from queue to queue and does nothing else (`bare_ingest`): what
the libraries leave of a core.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import httpx
import psutil

from tests.bench.bare_log import bare_log
from tests.bench.figures import Figure, report
from tests.bench.machine import cpu_seconds
from tests.bench.system import HERE, OTHERS_CORE, SERVER_CORE, on_core, system
from tests.bench.workspace import workspace
from tests.support.producers import premium, publish_fast, standard
from tests.support.stack import PRODUCER, Stack
from tiercast_shared.messaging.topology import SIGNALS_EVENTS

TARGET_PER_CORE, TARGET_RATIO = 3000.0, 5.0
BULK, SINGLE_CONNECTIONS = 500, 32
FLOOR_SIGNALS = 400
ROUND = 4000
"""Signals published at once: while they are, ingest may stand still, but not for longer than its lease to publish lasts."""

COPIES = "bench.ingest.copies"


def made(count: int) -> list[dict[str, object]]:
    """Signals of both feeds."""
    return [premium() if number % 3 == 0 else standard() for number in range(count)]


class Copies:
    """A queue that gets every event too: how many it holds tells how far the log is published, at no cost to ingest."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel) -> None:
        self._channel = channel

    @classmethod
    @asynccontextmanager
    async def open(cls, stack: Stack) -> AsyncIterator["Copies"]:
        async with await aio_pika.connect(stack.amqp_url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(COPIES, exclusive=True)
            await queue.bind(SIGNALS_EVENTS)
            yield cls(channel)

    async def clear(self) -> None:
        await (await self._channel.get_queue(COPIES)).purge()

    async def reach(self, count: int, within: float = 300) -> None:
        deadline = time.monotonic() + within
        while True:
            found = (await self._channel.declare_queue(COPIES, passive=True)).declaration_result.message_count or 0
            if found >= count:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"ingest does not come to {count}: {found}")
            await asyncio.sleep(0.02)


async def published(stack: Stack, head: int) -> None:
    """Make sure that the log is published up to `head`; the copies hold a beacon for each second too."""
    async with httpx.AsyncClient(base_url=stack.ingest.url) as http:
        wanted = f'tiercast_log_published_entries_total{{log="signals"}} {float(head)}\n'
        while wanted not in (await http.get(stack.ingest.metrics_url)).text:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def over_amqp(stack: Stack, signals: list[dict[str, object]]) -> None:
    """Publish all while ingest stands still, then let it go."""
    stack.ingest.pause()
    try:
        await publish_fast(stack.amqp_url, signals, producer=PRODUCER)
    finally:
        stack.ingest.resume()


def alone(stack: Stack) -> None:
    """Give ingest the core that is the gateway's in other benchmarks."""
    on_core(stack.gateway.pid, OTHERS_CORE)
    on_core(stack.ingest.pid, SERVER_CORE)


async def in_bulk(stack: Stack, signals: list[dict[str, object]]) -> None:
    """As a producer with many signals does."""
    await stack.publish_all(signals)


async def singly(stack: Stack, signals: list[dict[str, object]]) -> None:
    """As many producers with one signal each do."""
    waiting = iter(signals)

    async def produce(http: httpx.AsyncClient) -> None:
        for signal in waiting:
            (await http.post("/api/v1/external-signals/sync/signal", json=signal)).raise_for_status()

    async with stack.producer_http() as http:
        await asyncio.gather(*(produce(http) for _ in range(SINGLE_CONNECTIONS)))


WAYS = {"AMQP": (over_amqp, 1.0), "HTTP in bulk": (in_bulk, 1.0), "HTTP singly": (singly, 0.1)}
"""How signals come in, and which share of them."""


async def measure(stack: Stack, way: str, count: int, head: int) -> dict[str, float]:
    """One run; the log ends at `head` before it."""
    send, share = WAYS[way]
    signals = made(round(count * share))
    used = elapsed = busy = 0.0
    async with Copies.open(stack) as copies:
        for part in (signals[start : start + ROUND] for start in range(0, len(signals), ROUND)):
            await copies.clear()
            used_before, began = cpu_seconds(stack.ingest.pid), time.monotonic()
            await send(stack, part)
            if way == "AMQP":
                began = time.monotonic()
            psutil.cpu_percent(percpu=True)  # of the time since it was last asked
            await copies.reach(len(part))
            head += len(part)
            await published(stack, head)
            took = time.monotonic() - began
            elapsed += took
            busy += psutil.cpu_percent(percpu=True)[OTHERS_CORE] / 100 * took
            used += cpu_seconds(stack.ingest.pid) - used_before
    return {
        "signals": len(signals),
        "per_core_s": len(signals) / used,
        "per_s": len(signals) / elapsed,
        "own_core_share": used / elapsed,
        "other_core_share": busy / elapsed,
    }


async def one_by_one(amqp_url: str, database: str, count: int) -> dict[str, float]:
    """The floor: insert, commit, publish, confirm; then the next."""
    body = b"x" * 600
    used, began = time.process_time(), time.monotonic()
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.declare_exchange("bench.floor", aio_pika.ExchangeType.FANOUT, auto_delete=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange)
        if database.startswith("postgresql"):
            rows = await asyncpg.connect(database.replace("+asyncpg", ""))
            await rows.execute("CREATE TABLE floor (seq BIGSERIAL PRIMARY KEY, body BYTEA)")
            for _ in range(count):
                await rows.execute("INSERT INTO floor (body) VALUES ($1)", body)
                await exchange.publish(aio_pika.Message(body), "")
            await rows.execute("DROP TABLE floor")
            await rows.close()
        else:
            lite = bare_log(f"{database.removeprefix('sqlite+aiosqlite:///')}.floor")
            for _ in range(count):
                lite.execute("INSERT INTO log (body) VALUES (?)", (body,))
                await exchange.publish(aio_pika.Message(body), "")
            lite.close()
    used, elapsed = time.process_time() - used, time.monotonic() - began
    return {"signals": count, "per_core_s": count / used, "per_s": count / elapsed}


def in_bare_batches(amqp_url: str, database: str, count: int) -> dict[str, float]:
    """What an ingest reaches that does nothing with a signal."""
    command = [sys.executable, "-m", "tests.bench.bare_ingest", amqp_url, database, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parents[1])
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def run(options: argparse.Namespace, directory: Path, backends: Any) -> dict[str, Any]:
    series: dict[str, Any] = {"runs": {}, "floors": {}, "bare": {}, "batches": []}
    for database in ("postgresql", "sqlite"):
        with system(directory, backends, database=database) as stack:
            alone(stack)
            head = 0
            for _ in range(options.repetitions):
                floor = await one_by_one(stack.amqp_url, stack.ingest_database, FLOOR_SIGNALS)
                series["floors"].setdefault(database, []).append(floor)
                bare = in_bare_batches(stack.amqp_url, stack.ingest_database, options.signals)
                series["bare"].setdefault(database, []).append(bare)
                for way in WAYS:
                    found = await measure(stack, way, options.signals, head)
                    head += int(found["signals"])
                    series["runs"].setdefault(f"{way}, {database}", []).append(found)
                    print(
                        f"{way}, {database}: {found['per_core_s']:,.0f} per core-second, {found['per_s']:,.0f}/s; "
                        f"its core is busy {found['own_core_share']:.0%}, the other {found['other_core_share']:.0%}",
                        flush=True,
                    )
    if options.batches:
        for size in (1, 10, 100, 500):
            with system(directory, backends, settings={"INGEST_MAX_BATCH": str(size)}) as stack:
                alone(stack)
                found = await measure(stack, "AMQP", min(options.signals, 400 * size), 0)
                series["batches"].append({"batch": size, **found})
    return series


def figures(series: dict[str, Any]) -> list[Figure]:
    """Each way on each database; the floor is its throughput, as one by one it mostly waits."""
    found = []
    for name, runs in series["runs"].items():
        database = name.split(", ")[1]
        floors = [floor["per_s"] for floor in series["floors"][database]]
        figure = Figure(f"ingest, {name}, per core", "/s", [run["per_core_s"] for run in runs])
        through = Figure(f"ingest, {name}", "/s", [run["per_s"] for run in runs], None, "one by one", floors)
        if name.startswith("AMQP"):
            figure.row = through.row = 4
            figure.beside = "bare batches"
            figure.beside_values = [run["per_core_s"] for run in series["bare"][database]]
            figure.target, figure.met = "≥ 3,000/s", figure.median >= TARGET_PER_CORE
            through.target, through.met = "≥ 5 × one by one", (through.ratio or 0) >= TARGET_RATIO
        found += [figure, through]
        if name.startswith("AMQP"):
            for core, share in (("ingest's own core", "own_core_share"), ("the other core", "other_core_share")):
                found.append(Figure(f"{name}: {core} is busy", "%", [run[share] * 100 for run in runs]))
    for database, runs in series["bare"].items():
        floors = [floor["per_s"] for floor in series["floors"][database]]
        bare = [run["per_s"] for run in runs]
        found.append(Figure(f"bare batches, AMQP, {database}", "/s", bare, None, "one by one", floors))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=20_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--batches", action="store_true", help="throughput over sizes of batches too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        series = asyncio.run(run(options, directory, backends))
    report("ingest", figures(series), options=vars(options), series=series)


if __name__ == "__main__":
    main()
