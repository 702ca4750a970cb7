"""What one delivery costs the gateway, beside a bare C loop and other servers that do nothing but send.

    python -m tests.bench.fanout [--sockets 1000] [--rate 20] [--seconds 6] [--repetitions 3] [--peers]

Floor, peers and gateway are measured alternately in one run: same sockets, same rate, same size of message, the server on core 0
and everything else on core 1. The figure is the server's user and system time per delivery. The gateway's signals come through the
whole pipeline: submitted over HTTP, committed, published, consumed, written. The pipeline goes on beside floor and peers too,
towards a gateway without a socket, so that all have the same neighbours: what else a machine does, a system call feels. The *bare
gateway* takes each signal from the broker with aio-pika and writes it to picows' transports in a loop, and does nothing else.
"""

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, report
from tests.bench.machine import cpu_seconds, resident_kib
from tests.bench.peers import PEERS, Unavailable
from tests.bench.system import (
    bare_services,
    client_urls,
    floor_server,
    load,
    result_of,
    submitting,
    submitting_to,
    system,
)
from tests.bench.workspace import workspace

PADDING = 620
"""So that the floor's message is as long as the gateway's (about 690 bytes)."""


def measure(pids: list[int], urls: list[str], directory: Path, seconds: float, hello: str = "") -> dict[str, Any]:
    """One measurement of a server that is sending."""
    before = sum(map(resident_kib, pids))
    client = load(urls, directory, seconds, hello=hello)
    connected = sum(map(resident_kib, pids))
    time.sleep(1)
    used, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    used, elapsed = sum(map(cpu_seconds, pids)) - used, time.monotonic() - began
    result = result_of(client)
    return {
        "cpu_us_per_delivery": used * 1e6 / max(1.0, result["deliveries_per_s"] * elapsed),
        "kib_per_connection": (connected - before) / len(urls),
        **result,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--peers", action="store_true", help="measure Node ws, Nchan and NATS too, where they can be had"
    )
    options = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        for _ in range(options.repetitions):
            with submitting(stack, options.rate), floor_server(directory, options.rate, PADDING) as (pid, url):
                rows.setdefault("floor", []).append(measure([pid], [url] * options.sockets, directory, options.seconds))
            with submitting(stack, options.rate):
                rows.setdefault("gateway", []).append(measure([stack.gateway.pid], urls, directory, options.seconds))
                one = measure([stack.gateway.pid], urls[:1], directory, options.seconds)
                rows.setdefault("one socket", []).append(one)
            with (
                bare_services(directory, stack.amqp_url) as bare,
                submitting_to(bare.ingest_url, "none", options.rate),
            ):
                target = [bare.gateway_url] * options.sockets
                rows.setdefault("bare gateway", []).append(
                    measure([bare.gateway_pid], target, directory, options.seconds)
                )
            for name, peer in PEERS.items() if options.peers else ():
                try:
                    with submitting(stack, options.rate), peer(directory, options.rate, PADDING) as other:
                        urls_there = [other.url] * options.sockets
                        found = measure(other.pids, urls_there, directory, options.seconds, other.hello)
                        rows.setdefault(name, []).append(found)
                except Unavailable as error:
                    print(f"{name}: {error}")
    for name, found in rows.items():
        for row in found:
            latency = row["latency_ms"]
            print(
                f"{name:8} {row['deliveries_per_s']:7} deliveries/s  {row['cpu_us_per_delivery']:6.2f} µs CPU each  "
                f"p50 {latency['p50']} ms  p99 {latency['p99']} ms  client {row['client_cpu_us_per_delivery']} µs  "
                f"closed {row['closed']}"
            )
    report("fanout", figures(rows), options=vars(options), series=rows)


def figures(rows: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """The gateway beside each of the others."""
    costs = {name: [row["cpu_us_per_delivery"] for row in found] for name, found in rows.items()}
    own = Figure(
        "CPU per delivery",
        "µs",
        costs["gateway"],
        1,
        "bare C loop",
        costs["floor"],
        "≤ 1.25 × the C loop, below every peer",
    )
    others = [
        Figure(f"CPU per delivery beside {name}", "µs", costs["gateway"], None, name, values)
        for name, values in costs.items()
        if name not in {"gateway", "floor", "one socket"}
    ]
    assert own.ratio is not None
    peers = [other for other in others if other.beside in PEERS]
    own.met = own.ratio <= 1.25 and all(peer.ratio is not None and peer.ratio < 1 for peer in peers)
    fixed = Figure("CPU per signal with one socket: what all its deliveries share", "µs", costs["one socket"])
    client = [row["client_cpu_us_per_delivery"] for row in rows["gateway"]]
    return [
        own,
        *others,
        fixed,
        Figure("load client's CPU per delivery", "µs", client, None, "gateway", costs["gateway"]),
    ]


if __name__ == "__main__":
    main()
