"""Other servers that fan one message out to WebSockets, each alone on core 0, fed at the same rate with the same bytes.

Node's `ws` makes its messages
itself; Nchan and NATS are published to by a small process on core 1, as the gateway is by the broker.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import pinned
from tests.bench.system import HERE, OTHERS_CORE, SERVER_CORE, wait_for_port
from tests.support.node import NodeFailed, find_node
from tiercast_local.ports import LOOPBACK, free_port

NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin"
SIGTERM_SECONDS = 5.0


@dataclass(frozen=True)
class Target:
    """A running server."""

    pids: list[int]
    url: str
    hello: str = ""
    """What each client says first."""


class Unavailable(RuntimeError):
    """This peer cannot be had on this machine; the text says what is missing."""


@contextmanager
def running(
    command: list[str], core: int, port: int | None = None, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core, for as long as the block lasts."""
    process = subprocess.Popen(pinned(core, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        if port is not None:
            wait_for_port(port)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SIGTERM_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def publisher(kind: str, port: int, rate: float, padding: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Publishes to a peer at a steady rate."""
    command = [sys.executable, str(HERE / "peer_publisher.py"), kind, str(port), str(rate), str(padding)]
    return running(command, OTHERS_CORE)


@contextmanager
def node_ws(_directory: Path, rate: float, padding: int) -> Iterator[Target]:
    """Node's ws."""
    try:
        node = find_node()
        node.install_packages(HERE / "node")
    except NodeFailed as error:
        raise Unavailable(str(error)) from error
    port = free_port()
    command = [str(node.executable), str(HERE / "node" / "ws.js"), str(port), str(rate), str(padding)]
    with running(command, SERVER_CORE, port) as process:
        yield Target([process.pid], f"ws://{LOOPBACK}:{port}/")


@contextmanager
def nats(directory: Path, rate: float, padding: int) -> Iterator[Target]:
    """NATS over WebSocket, whose clients subscribe in their first message."""
    server = shutil.which("nats-server", path=SEARCH)
    if server is None:
        raise Unavailable("Debian's package nats-server is not installed")
    port, native = free_port(), free_port()
    configuration = directory / "nats.conf"
    configuration.write_text(
        f"host: {LOOPBACK}\nport: {native}\nwebsocket {{ host: {LOOPBACK}, port: {port}, no_tls: true }}\n"
    )
    command = [server, "-c", str(configuration)]
    one_thread = os.environ | {"GOMAXPROCS": "1"}
    with running(command, SERVER_CORE, port, env=one_thread) as process, publisher("nats", native, rate, padding):
        hello = 'CONNECT {"verbose":false}\r\nSUB signals 1\r\nPING\r\n'
        yield Target([process.pid], f"ws://{LOOPBACK}:{port}/", hello)


@contextmanager
def nchan(directory: Path, rate: float, padding: int) -> Iterator[Target]:
    """Nginx with Nchan."""
    nginx = shutil.which("nginx", path=SEARCH)
    if nginx is None or not NCHAN_MODULE.exists():
        raise Unavailable("Debian's packages nginx and libnginx-mod-nchan are not installed")
    port = free_port()
    configuration = directory / "nchan.conf"
    configuration.write_text((HERE / "nchan.conf").read_text().replace("PORT", str(port)))
    command = [nginx, "-c", str(configuration), "-p", str(directory), "-e", str(directory / "nginx.log")]
    with running(command, SERVER_CORE, port) as process, publisher("nchan", port, rate, padding):
        yield Target([process.pid, *children(process.pid)], f"ws://{LOOPBACK}:{port}/signals")


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    time.sleep(0.2)
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


Peer = Callable[[Path, float, int], AbstractContextManager[Target]]
PEERS: dict[str, Peer] = {"Node ws": node_ws, "Nchan": nchan, "NATS": nats}
