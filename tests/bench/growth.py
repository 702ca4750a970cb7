"""What a delivery, a page of the log and a start cost as everything grows.

    python -m tests.bench.growth [--only connections,floor,filters,users,ring,log]

Connections 100 to 8,000 at one number of deliveries a second, and the same of the bare C loop, as more sockets are more memory than
a core's caches hold; distinct symbol filters 1 to 5,000, where each signal is for one socket; users behind a fixed number of
connections; the ring 1,000 to 100,000 signals; the log 1,000 to 2,000,000 rows, read in pages at its start, middle and end, and
a gateway's start on it.
"""

import argparse
import asyncio
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.bench.crowd import Crowd
from tests.bench.fanout import PADDING
from tests.bench.figures import Figure, report
from tests.bench.machine import cpu_seconds
from tests.bench.system import SERVER_CORE, client_urls, floor_server, load, on_core, result_of, submitting, system
from tests.bench.workspace import workspace
from tests.support.backends import Backends
from tests.support.producers import standard
from tests.support.stack import Stack

DELIVERIES_PER_S = 16_000
CONNECTIONS, FILTERS = (100, 1000, 4000, 8000), (1, 100, 1000, 5000)
USERS, USER_SOCKETS = (1, 100, 2000), 2000
RINGS, LOGS = (1_000, 10_000, 100_000), (1_000, 100_000, 2_000_000)
PAGE, READS, STARTS, CONNECTS = 1000, 25, 5, 200
COPIED = (
    *("body", "chain", "correlation_id", "received_at", "committed_at", "standard_chain"),
    *("feed", "symbol", "producer", "fingerprint", "hashed_text"),
)
"""Columns that a longer log may repeat."""

FILTERED_RATE = 200.0
FLAT = 1.2


def cost(stack: Stack, urls: list[str], directory: Path, seconds: float, *, signals: float, symbols: int = 1) -> float:
    """Microseconds of the gateway's CPU per delivery."""
    with submitting(stack, signals, symbols=symbols, bulk=max(1, round(signals / 50))):
        client = load(urls, directory, seconds)
        time.sleep(1)
        used = cpu_seconds(stack.gateway.pid)
        time.sleep(seconds)
        used = cpu_seconds(stack.gateway.pid) - used
        found = result_of(client)
    return used * 1e6 / max(1.0, found["deliveries_per_s"] * seconds)


def connections(directory: Path, backends: Backends, seconds: float) -> dict[str, float]:
    """Cost per delivery over connections, at one rate of deliveries."""
    found = {}
    for count in CONNECTIONS:
        with system(directory, backends) as stack:
            urls = client_urls(stack, count)
            found[str(count)] = cost(stack, urls, directory, seconds, signals=DELIVERIES_PER_S / count)
    return found


def floor(directory: Path, _backends: Backends, seconds: float) -> dict[str, float]:
    """The same of the bare C loop, which does nothing for a connection but send."""
    found = {}
    for count in CONNECTIONS:
        with floor_server(directory, DELIVERIES_PER_S / count, PADDING) as (pid, url):
            client = load([url] * count, directory, seconds)
            time.sleep(1)
            used = cpu_seconds(pid)
            time.sleep(seconds)
            used = cpu_seconds(pid) - used
            found[str(count)] = used * 1e6 / max(1.0, result_of(client)["deliveries_per_s"] * seconds)
    return found


def users(directory: Path, backends: Backends, seconds: float) -> dict[str, float]:
    """Cost per delivery over users, behind as many connections."""
    found = {}
    for count in USERS:
        with system(directory, backends) as stack:
            urls = client_urls(stack, USER_SOCKETS, users=count)
            found[str(count)] = cost(stack, urls, directory, seconds, signals=DELIVERIES_PER_S / USER_SOCKETS)
    return found


def filters(directory: Path, backends: Backends, seconds: float) -> dict[str, float]:
    """Microseconds of CPU per signal over distinct filters, of five thousand sockets: each signal is for one socket's filter."""
    found = {}
    for count in FILTERS:
        with system(directory, backends) as stack:
            plain = client_urls(stack, FILTERS[-1])
            urls = [f"{url}&symbols={f'S{number}' if number < count else 'NEVER'}" for number, url in enumerate(plain)]
            found[str(count)] = cost(stack, urls, directory, seconds, signals=FILTERED_RATE, symbols=count)
    return found


async def lengthen(stack: Stack, rows: int) -> None:
    """Make the log at least so long, by copying its entries inside the database; chains are not kept, nobody verifies them here."""
    engine = create_async_engine(stack.ingest_database)
    columns = ", ".join(COPIED)
    async with engine.begin() as connection:
        head = (await connection.execute(text("select seq from signal_log_head"))).scalar_one()
        while head < rows:
            step = min(head, rows - head)
            copy = (
                f"insert into signal_log (seq, standard_seq, id, signal_id, {columns}) "
                f"select seq + {head}, standard_seq + {head}, id || '-{head}', signal_id || '-{head}', {columns} "
                f"from signal_log where seq <= {step}"
            )
            await connection.execute(text(copy))
            head += step
        await connection.execute(text(f"update signal_log_head set seq = {head}, standard_seq = {head}"))
        await connection.execute(text(f"update signal_log_publisher set published = {head}"))
    async with engine.connect() as connection:
        own = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await own.execute(text("vacuum analyze"))  # or the server would do it by itself, while starts are measured
        await own.execute(text("checkpoint"))
    await engine.dispose()


def on_a_log_of(stack: Stack, rows: int) -> None:
    """Have ingest serve a log of so many rows; no gateway runs when this returns."""
    stack.gateway.kill()
    stack.ingest.stop()
    asyncio.run(lengthen(stack, rows))
    stack.ingest.start()


def seconds_to_start(stack: Stack) -> float:
    """From a gateway's start to its being ready; one that runs is killed before."""
    stack.gateway.kill()
    began = time.monotonic()
    stack.gateway.spawn()
    on_core(stack.gateway.pid, SERVER_CORE)  # beside the database and ingest it would share their core
    stack.gateway.wait_ready()
    return time.monotonic() - began


def first_signals(stack: Stack, count: int = 1000) -> None:
    """What the longer logs are copied from."""
    asyncio.run(stack.publish_all([standard() for _ in range(count)]))


def log(directory: Path, backends: Backends, _seconds: float) -> dict[str, dict[str, float]]:
    """Milliseconds of a page at the start, middle and end of the log, and seconds of a gateway's start.

    All logs are there at once and are asked in turn: minutes apart, the machine's own speed would be what differs.
    """
    starts: dict[int, list[float]] = {rows: [] for rows in LOGS}
    pages: dict[tuple[int, str], list[float]] = {}
    with ExitStack() as cleanup:
        stacks, clients = {}, {}
        for rows in LOGS:
            stack = stacks[rows] = cleanup.enter_context(system(directory, backends, database="postgresql"))
            first_signals(stack)
            on_a_log_of(stack, rows)
            client = httpx.Client(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}, timeout=60)
            clients[rows] = cleanup.enter_context(client)
        for _ in range(STARTS):
            for rows, stack in stacks.items():
                starts[rows].append(seconds_to_start(stack))
                stack.gateway.kill()  # it reads pages too, long after it is ready
        for _ in range(READS):
            for rows, http in clients.items():
                for name, after in {"start": 0, "middle": rows // 2 - PAGE, "end": rows - PAGE}.items():
                    began = time.perf_counter()
                    page = http.get("/api/v1/log", params={"after": max(0, after), "limit": PAGE})
                    pages.setdefault((rows, f"{name}_ms"), []).append((time.perf_counter() - began) * 1000)
                    assert len(page.raise_for_status().json()["entries"]) == PAGE
    found: dict[str, dict[str, float]] = {
        str(rows): {"gateway_start_s": statistics.median(times)} for rows, times in starts.items()
    }
    for (rows, name), times in pages.items():
        found[str(rows)][name] = statistics.median(times)
    return found


def ring(directory: Path, backends: Backends, _seconds: float) -> dict[str, dict[str, float]]:
    """Seconds of a gateway's start with rings of so many signals, and milliseconds until one client is told `connected`."""
    found = {}
    for capacity in RINGS:
        settings = {"GATEWAY_RING_CAPACITY": str(capacity)}
        with system(directory, backends, database="postgresql", settings=settings) as stack:
            first_signals(stack)
            on_a_log_of(stack, capacity)
            starts = [seconds_to_start(stack) for _ in range(STARTS)]
            url = client_urls(stack, 1)[0]
            times = []
            for _ in range(CONNECTS):
                crowd, began = Crowd(), time.perf_counter()
                crowd.connect([url])
                times.append((time.perf_counter() - began) * 1000)
                crowd.close()
            found[str(capacity)] = {
                "gateway_start_s": statistics.median(starts),
                "connect_ms": statistics.median(times),
            }
    return found


PARTS = {"connections": connections, "floor": floor, "users": users, "filters": filters, "ring": ring, "log": log}


def flatness(name: str, curve: dict[str, float], unit: str, base: str | None = None) -> Figure:
    """The last point beside an earlier one."""
    first, last = base or next(iter(curve)), next(reversed(curve))
    figure = Figure(
        f"{name}: {last} beside {first}", unit, [curve[last]], 8, f"at {first}", [curve[first]], "within 20 %"
    )
    figure.met = (figure.ratio or 0) <= FLAT
    return figure


def figures(found: dict[str, Any]) -> list[Figure]:
    """Each curve's end beside its beginning."""
    result = []
    if "connections" in found:
        result.append(flatness("CPU per delivery, connections", found["connections"], "µs", "1000"))
    if "floor" in found:
        bare = flatness("CPU per delivery of the bare C loop, connections", found["floor"], "µs", "1000")
        bare.target, bare.met = "", None
        result.append(bare)
    if "users" in found:
        result.append(flatness("CPU per delivery, users", found["users"], "µs"))
    if "filters" in found:
        result.append(flatness("CPU per signal for one of so many filters", found["filters"], "µs", "100"))
    if "log" in found:
        for place in ("start_ms", "end_ms"):
            curve = {rows: at[place] for rows, at in found["log"].items()}
            result.append(flatness(f"page of the log, {place.removesuffix('_ms')}", curve, "ms"))
        starts = {rows: at["gateway_start_s"] for rows, at in found["log"].items()}
        result.append(flatness("start of a gateway on the log", starts, "s", str(LOGS[1])))
    if "ring" in found:
        connects = {size: at["connect_ms"] for size, at in found["ring"].items()}
        result.append(flatness("connecting, size of the ring", connects, "ms"))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        for name in options.only.split(","):
            found[name] = PARTS[name](directory, backends, options.seconds)
            print(name, found[name], flush=True)
    report("growth", figures(found), options=vars(options), series=found)


if __name__ == "__main__":
    main()
