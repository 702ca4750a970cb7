"""What one delivery costs the gateway, beside a bare C loop that does nothing but send.

    python -m tests.bench.fanout [--sockets 1000] [--rate 20] [--seconds 6] [--repetitions 3] [--json FILE]

Floor and gateway are measured alternately in one run: same sockets, same rate, same size of message, the server alone
on core 0 and everything else on core 1. The figure is the server's user and system time per delivery. The gateway's
signals come through the whole pipeline: submitted over HTTP, committed, published, consumed, written.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bench.machine import cpu_seconds, describe_machine, pinned, resident_kib
from tests.support.backends import Backends
from tests.support.producers import submission
from tests.support.stack import Stack
from tiercast_local.ports import free_port

HERE = Path(__file__).parent
PADDING = 500
USERS = 200


def load(urls: list[str], directory: Path, seconds: float) -> tuple[subprocess.Popen[str], Path]:
    """Start the load client on core 1; it is connected when `ready` comes on its standard error."""
    file = directory / "urls"
    file.write_text("\n".join(urls))
    command = [sys.executable, "-m", "tests.bench.load", str(file), "--seconds", str(seconds)]
    client = subprocess.Popen(pinned(1, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert client.stderr is not None
    if "ready" not in client.stderr.readline():
        raise SystemExit(f"the load client could not connect: {client.stderr.read()}")
    return client, file


def measure(name: str, pid: int, urls: list[str], directory: Path, seconds: float) -> dict[str, Any]:
    """One measurement of a server that is sending."""
    before = resident_kib(pid)
    client, _ = load(urls, directory, seconds)
    connected = resident_kib(pid)
    time.sleep(1)
    used, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    used, elapsed = cpu_seconds(pid) - used, time.monotonic() - began
    result = json.loads(client.communicate()[0])
    rate = result["deliveries_per_s"]
    return {
        "server": name,
        "cpu_us_per_delivery": used * 1e6 / max(1.0, rate * elapsed),
        "kib_per_connection": (connected - before) / len(urls),
        **result,
    }


@contextmanager
def floor_server(directory: Path, rate: float) -> Iterator[tuple[int, str]]:
    """The C loop on core 0: its process id and address."""
    binary = directory / "floor"
    if not binary.exists():
        subprocess.run(["cc", "-O2", "-o", binary, HERE / "floor.c"], check=True)
    port = free_port()
    server = subprocess.Popen(pinned(0, [str(binary), str(port), str(rate), str(PADDING)]))
    try:
        time.sleep(0.3)
        yield server.pid, f"ws://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()


@contextmanager
def submitting(stack: Stack, rate: float) -> Iterator[None]:
    """Submit premium signals over HTTP at a steady rate until the block ends."""
    done = threading.Event()

    def submit() -> None:
        url = "/api/v1/external-signals/sync/signal"
        with httpx.Client(base_url=stack.ingest.url, headers={"X-API-Key": stack.api_key}) as http:
            began, sent = time.monotonic(), 0
            while not done.is_set():
                http.post(
                    url, json=submission(confidence=90.0, reasoning=f"{time.time_ns()}{'x' * 100}")
                ).raise_for_status()
                sent += 1
                done.wait(max(0.0, began + sent / rate - time.monotonic()))

    thread = threading.Thread(target=submit, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def gateway_urls(stack: Stack, sockets: int) -> list[str]:
    """An address with a PRO user's token for each socket."""
    tokens = [stack.token(f"bench-{number}") for number in range(USERS)]
    with httpx.Client(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}) as http:
        for number in range(USERS):
            body = {"tier": "elite", "reason": "benchmark"}
            http.put(f"/api/v1/users/bench-{number}/tier", json=body).raise_for_status()
    base = stack.gateway.url.replace("http://", "ws://")
    return [f"{base}/ws/signals?token={tokens[number % USERS]}" for number in range(sockets)]


@contextmanager
def running_stack(directory: Path, backends: Backends) -> Iterator[Stack]:
    """The whole system, the gateway on core 0 and everything else on core 1."""
    host = backends.broker().virtual_host()
    stack = Stack(
        directory,
        amqp_url=host.url,
        ingest_database=f"sqlite+aiosqlite:///{directory}/ingest.db",
        tiers_database=f"sqlite+aiosqlite:///{directory}/tiers.db",
        settings={"GATEWAY_ALLOWED_ORIGINS": "http://localhost"},
    )
    os.sched_setaffinity(0, {1})  # inherited by what is started from here
    stack.start()
    os.sched_setaffinity(stack.gateway.pid, {0})
    for thread in Path(f"/proc/{stack.gateway.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {0})
    try:
        yield stack
    finally:
        stack.stop()
        host.delete()


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'server':8} {'deliveries/s':>13} {'µs CPU/delivery':>16} {'p50 ms':>8} {'p99 ms':>8} {'KiB/conn':>9} {'closed':>7}"
    ]
    for row in rows:
        latency = row["latency_ms"]
        lines.append(
            f"{row['server']:8} {row['deliveries_per_s']:13} {row['cpu_us_per_delivery']:16.2f} "
            f"{latency['p50']:8.2f} {latency['p99']:8.2f} {row['kib_per_connection']:9.1f} {row['closed']:7}"
        )
    return "\n".join(lines)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    costs = {name: [r["cpu_us_per_delivery"] for r in rows if r["server"] == name] for name in ("floor", "gateway")}
    ratios = [gateway / floor for floor, gateway in zip(costs["floor"], costs["gateway"], strict=True)]
    return {
        "floor_us": statistics.median(costs["floor"]),
        "gateway_us": statistics.median(costs["gateway"]),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tiercast-bench-"))
    backends, rows = Backends(), []
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        cleanup.callback(backends.close)
        stack = cleanup.enter_context(running_stack(directory, backends))
        urls = gateway_urls(stack, options.sockets)
        for _ in range(options.repetitions):
            with floor_server(directory, options.rate) as (pid, url):
                rows.append(measure("floor", pid, [url] * options.sockets, directory, options.seconds))
            with submitting(stack, options.rate):
                rows.append(measure("gateway", stack.gateway.pid, urls, directory, options.seconds))
    result = {
        "machine": describe_machine(),
        "options": vars(options) | {"json": None},
        "rows": rows,
        "summary": summary(rows),
    }
    print(table(rows))
    figures = result["summary"]
    print(
        f"median: floor {figures['floor_us']:.2f} µs, gateway {figures['gateway_us']:.2f} µs, "
        f"ratio {figures['ratio_median']:.2f} (min {figures['ratio_min']:.2f}, max {figures['ratio_max']:.2f})"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
