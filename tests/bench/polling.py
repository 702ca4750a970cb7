"""Requests a second to `/api/v1/signals/latest` on one core, beside an empty FastAPI route and one that verifies a token.

    python -m tests.bench.polling [--seconds 4] [--repetitions 3]

Sixteen kept-alive connections ask one after the other; every answer's status is checked. Figures are requests per second of the
server's CPU, so the client's own core does not count.
"""

import argparse
import secrets
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.figures import Figure, report
from tests.bench.machine import cpu_seconds, pinned
from tests.bench.system import HERE, SERVER_CORE, client_urls, system, wait_for_port
from tests.bench.workspace import workspace
from tests.support.producers import standard
from tests.support.stack import Stack
from tiercast_local.ports import LOOPBACK, free_port

CONNECTIONS, TARGET = 16, 6000.0
SIGNALS = 50


def ask(url: str, headers: dict[str, str], status: int, seconds: float) -> int:
    """Ask as fast as one process can; returns the number of answers, each of which had this status.

    Raises:
        SystemExit: an answer had another status.
    """
    parts = urlsplit(url)
    target = f"{parts.path}{'?' + parts.query if parts.query else ''}"
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request, expected = "\r\n".join([*lines, "", ""]).encode(), b"HTTP/1.1 %d " % status
    selector, answers = selectors.EpollSelector(), 0
    for _ in range(CONNECTIONS):
        opened = socket.create_connection((LOOPBACK, parts.port or 80))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(request)
        selector.register(opened, selectors.EVENT_READ, bytearray())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            key.data.extend(key.fileobj.recv(1 << 20))  # type: ignore[union-attr]
            if not whole(key.data):
                continue
            if not key.data.startswith(expected):
                raise SystemExit(f"{url}: {bytes(key.data[:300])!r}")
            key.data.clear()
            answers += 1
            key.fileobj.sendall(request)  # type: ignore[union-attr]
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return answers


def whole(answer: bytearray) -> bool:
    """Whether an answer with a Content-Length, or none for a 304, is all there."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.lower().find(b"content-length:", 0, end)
    if at < 0:
        return True
    return len(answer) >= end + 4 + int(answer[at + 15 : answer.index(b"\r\n", at)])


def per_core(pid: int, url: str, headers: dict[str, str], seconds: float, status: int = 200) -> float:
    """Requests per second of the server's CPU."""
    ask(url, headers, status, 0.5)
    used = cpu_seconds(pid)
    answers = ask(url, headers, status, seconds)
    return answers / (cpu_seconds(pid) - used)


@contextmanager
def floors(secret: str) -> Iterator[tuple[int, str]]:
    """A FastAPI application with an empty route and one that verifies a token: its process id and address."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.polling_floor", str(port), secret]
    server = subprocess.Popen(pinned(SERVER_CORE, command), cwd=HERE.parents[1])
    try:
        wait_for_port(port)
        yield server.pid, f"http://{LOOPBACK}:{port}"
    finally:
        server.terminate()
        server.wait()


def ready(stack: Stack) -> tuple[str, dict[str, str], str]:
    """A gateway with signals to show: the address, a user's headers and the ETag of its answer."""
    signals = [standard() for _ in range(SIGNALS)]
    with httpx.Client(base_url=stack.ingest.url, headers={"X-API-Key": stack.api_key}, timeout=30) as http:
        http.post("/api/v1/external-signals/sync/signals", json={"signals": signals}).raise_for_status()
    client_urls(stack, 1)
    url, headers = f"{stack.gateway.url}/api/v1/signals/latest", {"Authorization": f"Bearer {stack.token('bench-0')}"}
    deadline = time.monotonic() + 20
    while len((answer := httpx.get(url, headers=headers)).raise_for_status().json()) < 10:
        if time.monotonic() > deadline:
            raise SystemExit(f"the gateway shows only {answer.text}")
    return url, headers, answer.headers["ETag"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    own, cheap, empty, verified = [], [], [], []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(Path(directory), backends))
        secret = secrets.token_urlsafe(48)
        pid, floor = cleanup.enter_context(floors(secret))
        url, headers, etag = ready(stack)
        token = {"Authorization": f"Bearer {httpx.get(f'{floor}/token').text}"}
        gateway = stack.gateway.pid
        for _ in range(options.repetitions):
            empty.append(per_core(pid, f"{floor}/empty", {}, options.seconds))
            verified.append(per_core(pid, f"{floor}/verified", token, options.seconds))
            own.append(per_core(gateway, url, headers, options.seconds))
            cheap.append(per_core(gateway, url, headers | {"If-None-Match": etag}, options.seconds, 304))
    latest = Figure("/api/v1/signals/latest, 10 signals", "/s", own, 9, "empty route", empty, "≥ 6,000/s")
    latest.met = latest.median >= TARGET
    not_modified = Figure("the same, 304", "/s", cheap, 9, "with its body", own, "cheaper than 200")
    not_modified.met = (not_modified.ratio or 0) > 1
    beside = Figure(
        "/api/v1/signals/latest beside a token check", "/s", own, None, "route with a token check", verified
    )
    report("polling", [latest, not_modified, beside], options=vars(options))


if __name__ == "__main__":
    main()
