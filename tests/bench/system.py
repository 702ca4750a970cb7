"""The whole system under a benchmark: the gateway alone on core 0, everything else on core 1."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.bench.machine import pinned
from tests.support.backends import Backends
from tests.support.services import Service
from tests.support.stack import Stack
from tiercast_local.ports import LOOPBACK, free_port

HERE = Path(__file__).parent
SERVER_CORE, OTHERS_CORE = 0, 1
SOCKETS_PER_USER = 10
NO_LIMITS = {
    "GATEWAY_ENTITLEMENTS": json.dumps(
        {
            tier: {
                "feed": "standard" if tier == "starter" else "all",
                "max_connections": 100_000,
                "history_limit": 1000,
                "requests_per_minute": 100_000_000,
            }
            for tier in ("starter", "pro", "elite")
        }
    ),
    "INGEST_PRODUCER_LIMIT": "1000000",
    "GATEWAY_HANDSHAKES_PER_SECOND": "1000000",
}
"""One machine plays all users and producers here."""


def on_core(pid: int, core: int) -> None:
    """Bind every thread of a running process to one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@contextmanager
def system(
    directory: Path,
    backends: Backends,
    *,
    database: str = "sqlite",
    gateways: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Tiercast in processes of its own, on a virtual host and databases of its own."""
    with ExitStack() as cleanup:
        home = directory / uuid4().hex[:8]
        home.mkdir()
        os.sched_setaffinity(0, {OTHERS_CORE})  # inherited by what is started from here, the servers below included
        host = backends.broker().virtual_host()
        cleanup.callback(host.delete)
        urls = {name: f"sqlite+aiosqlite:///{home}/{name}.db" for name in ("ingest", "tiers")}
        if database == "postgresql":
            server = backends.breakable_postgres()  # durable, unlike the one that most tests share
            for name in urls:
                database_name = f"{name}_{uuid4().hex[:8]}"
                urls[name] = server.create_database(database_name)
                cleanup.callback(server.drop_database, database_name)
        stack = Stack(
            home,
            amqp_url=host.url,
            ingest_database=urls["ingest"],
            tiers_database=urls["tiers"],
            gateways=gateways,
            settings=NO_LIMITS | dict(settings or {}),
        )
        cleanup.callback(stack.stop)
        stack.start()
        for gateway in stack.gateways:
            on_core(gateway.pid, SERVER_CORE)
        yield stack


def client_urls(
    stack: Stack, sockets: int, *, gateway: Service | None = None, users: int | None = None, query: str = ""
) -> list[str]:
    """An address with an ELITE user's token for each socket; ten sockets share a user unless told how many users there are."""
    names = [f"bench-{number}" for number in range(users or -(-sockets // SOCKETS_PER_USER))]
    with httpx.Client(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}, timeout=30) as http:

        def raise_tier(user: str) -> None:
            body = {"tier": "elite", "reason": "benchmark"}
            http.put(f"/api/v1/users/{user}/tier", json=body).raise_for_status()

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(raise_tier, names))
    tokens = [stack.token(user) for user in names]
    base = (gateway or stack.gateway).url.replace("http://", "ws://")
    return [f"{base}/ws/signals?token={tokens[number % len(names)]}{query}" for number in range(sockets)]


def load(
    urls: list[str], directory: Path, seconds: float, *, warmup: float = 1.0, hello: str = ""
) -> subprocess.Popen[str]:
    """Start the load client beside everything but the server; it has connected all when this returns."""
    file = directory / f"urls-{uuid4().hex[:8]}"
    file.write_text("\n".join(urls))
    command = [sys.executable, "-m", "tests.bench.load", str(file), "--seconds", str(seconds), "--warmup", str(warmup)]
    command += ["--hello", hello]
    client = subprocess.Popen(
        pinned(OTHERS_CORE, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE.parents[1]
    )
    assert client.stderr is not None
    if "ready" not in client.stderr.readline():
        raise SystemExit(f"the load client could not connect: {client.stderr.read()}")
    return client


def result_of(client: subprocess.Popen[str]) -> dict[str, Any]:
    """What the load client saw, once it is done."""
    out, error = client.communicate()
    if client.returncode:
        raise SystemExit(f"the load client failed: {error}")
    found: dict[str, Any] = json.loads(out)
    return found


def submitting(stack: Stack, rate: float, *, bulk: int = 1, symbols: int = 1) -> AbstractContextManager[None]:
    """Submit premium signals over HTTP at a steady rate until the block ends, in a process of its own."""
    return submitting_to(stack.ingest.url, stack.api_key, rate, bulk=bulk, symbols=symbols)


@contextmanager
def submitting_to(url: str, key: str, rate: float, *, bulk: int = 1, symbols: int = 1) -> Iterator[None]:
    """As `submitting`, to whatever takes what ingest takes."""
    command = [
        *(sys.executable, "-m", "tests.bench.submit", url),
        *("--rate", str(rate), "--bulk", str(bulk), "--symbols", str(symbols)),
    ]
    environment = os.environ | {"API_KEY": key}
    process = subprocess.Popen(
        pinned(OTHERS_CORE, command), env=environment, stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1]
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first signal is accepted
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class Publisher:
    """Events that go straight to the broker; `last` is the log position of the last one, once they have ended."""

    last = 0


@contextmanager
def publishing(stack: Stack, event: Path, after: int, rate: float) -> Iterator[Publisher]:
    """Publish events like the one in a file at a steady rate until the block ends, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.events", stack.amqp_url, str(event), "--after", str(after)]
    command += ["--rate", str(rate)]
    process = subprocess.Popen(pinned(OTHERS_CORE, command), stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1])
    assert process.stdout is not None
    if "publishing" not in process.stdout.readline():
        raise SystemExit("no event could be published")
    publisher = Publisher()
    try:
        yield publisher
    finally:
        process.terminate()
        publisher.last = int(process.communicate()[0].split()[-1])


@contextmanager
def floor_server(directory: Path, rate: float, padding: int) -> Iterator[tuple[int, str]]:
    """The bare C loop alone on core 0: its process id and address."""
    binary = directory / "floor"
    if not binary.exists():
        subprocess.run(["cc", "-O2", "-o", binary, HERE / "floor.c"], check=True)
    port = free_port()
    server = subprocess.Popen(pinned(SERVER_CORE, [str(binary), str(port), str(rate), str(padding)]))
    try:
        wait_for_port(port)
        yield server.pid, f"ws://{LOOPBACK}:{port}/"
    finally:
        server.kill()
        server.wait()


@dataclass(frozen=True)
class BareServices:
    """Where they are."""

    ingest_url: str
    gateway_url: str
    gateway_pid: int


@contextmanager
def bare_services(directory: Path, amqp_url: str, *, missed: int = 0) -> Iterator[BareServices]:
    """Services that only carry a signal on, in the places of the real ones.

    Every client has missed so many signals, and is sent them first.
    """
    ingest, gateway = free_port(), free_port()
    command = [sys.executable, "-m", "tests.bench.bare_services"]
    with ExitStack() as cleanup:
        for core, arguments in (
            (OTHERS_CORE, ["ingest", str(ingest), amqp_url, str(directory / "bare.db")]),
            (SERVER_CORE, ["gateway", str(gateway), amqp_url, str(missed)]),
        ):
            process = subprocess.Popen(pinned(core, [*command, *arguments]), cwd=HERE.parents[1])
            cleanup.callback(process.wait)
            cleanup.callback(process.kill)
        wait_for_port(ingest)
        wait_for_port(gateway)
        yield BareServices(f"http://{LOOPBACK}:{ingest}", f"ws://{LOOPBACK}:{gateway}/", process.pid)


def wait_for_port(port: int, within: float = 20) -> None:
    """Block until something listens there."""
    deadline = time.monotonic() + within
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing listens on port {port}")
        time.sleep(0.02)
