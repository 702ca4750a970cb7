"""Healthy clients beside thousands of connections that never finish their request.

    python -m tests.bench.half_open [--half-open 5000] [--sockets 500] [--rate 20] [--seconds 8] [--repetitions 3]

Each half-open connection sends the beginning of an upgrade and waits. The gateway ends it after 5 s, whereupon it comes again, so
that there are always as many. Healthy clients are measured without and with them, and so is the gateway's memory.
"""

import argparse
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.figures import Figure, report
from tests.bench.hops import buckets, percentiles_ms
from tests.bench.machine import resident_kib
from tests.bench.system import client_urls, load, result_of, submitting, system
from tests.bench.workspace import workspace
from tests.support.stack import Stack

HEAD = b"GET /ws/signals HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nX-Pad"
AT_ONCE = 20
"""Opened between two looks at which were ended: whoever opens them shares a core with the healthy clients."""


class HalfOpen:
    """`count` connections, of which each that the server ends is made anew until `stop`."""

    def __init__(self, url: str, count: int) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._count = count
        self._selector = selectors.DefaultSelector()
        self._stopped = threading.Event()
        self.full = threading.Event()
        self.ended = 0
        """Connections that the server has ended so far."""
        self._thread = threading.Thread(target=self._run, name="half-open")

    def _open(self) -> None:
        connection = socket.create_connection(self._address, timeout=30)
        connection.sendall(HEAD)
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._stopped.is_set():
            missing = self._count - len(self._selector.get_map())
            for _ in range(min(missing, AT_ONCE)):
                self._open()
            if not missing:
                self.full.set()
            for key, _ in self._selector.select(0.05 if not missing else 0):
                self._selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr] # a socket
                self.ended += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """All are there when the block begins, and none when it has ended."""
        self._thread.start()
        self.full.wait()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()
            for key in list(self._selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr] # a socket


def measured(stack: Stack, urls: list[str], directory: Path, seconds: float) -> dict[str, float]:
    """What healthy clients see, and of that what is the gateway's: they share their core with those who open half."""
    client = load(urls, directory, seconds)
    before = buckets(stack)
    seen: dict[str, float] = result_of(client)["latency_ms"]
    hops = percentiles_ms(before, buckets(stack))
    return seen | {
        "p99 from the broker to the socket": hops["published_consumed"]["p99"] + hops["consumed_written"]["p99"]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half-open", type=int, default=5000)
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    without, beside, memory, ended = [], [], [], []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        cleanup.enter_context(submitting(stack, options.rate))
        result_of(load(urls, directory, 2))  # what is loaded at the first connections is nobody's cost
        for _ in range(options.repetitions):
            without.append(measured(stack, urls, directory, options.seconds))
            before, crowd = resident_kib(stack.gateway.pid), HalfOpen(stack.gateway.url, options.half_open)
            with crowd.running():
                time.sleep(1)
                memory.append((resident_kib(stack.gateway.pid) - before) * 1.024 / options.half_open)
                beside.append(measured(stack, urls, directory, options.seconds))
                ended.append(float(crowd.ended))
    report(
        "half_open",
        [
            _latency("p50", options, beside, without),
            _latency("p99", options, beside, without),
            _latency("p99 from the broker to the socket", options, beside, without),
            Figure("memory per half-open connection, the first time", "kB", memory[:1]),
            Figure("half-open connections ended in a repetition", "", ended),
        ],
        options=vars(options),
        series={"without": without, "beside": beside},
    )


def _latency(
    name: str, options: argparse.Namespace, beside: list[dict[str, float]], without: list[dict[str, float]]
) -> Figure:
    """Of healthy clients beside the half-open ones, and next to it of the same clients alone."""
    return Figure(
        f"{name} to {options.sockets} sockets beside {options.half_open} half-open ones",
        "ms",
        [each[name] for each in beside],
        beside="the same without them",
        beside_values=[each[name] for each in without],
    )


if __name__ == "__main__":
    main()
