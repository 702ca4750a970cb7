"""The load client: thousands of WebSockets in a process of its own.

    python -m tests.bench.load URLS --seconds S [--warmup W] [--hello TEXT]

URLS is a file with one `ws://…` address per line, a socket each. Prints `ready` on standard error when all are connected, and at
the end one JSON object on standard output: deliveries, deliveries per second, what each cost this process, latency percentiles
in milliseconds from a signal's making to the client's read, and sockets closed by the server.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.crowd import Crowd

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def percentiles_ms(latencies: Sequence[float]) -> dict[str, float | None]:
    """Milliseconds of some percentiles; None where nothing was received."""
    values = sorted(latencies)
    return {
        name: round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3) if values else None
        for name, share in PERCENTILES.items()
    }


def run(urls: list[str], warmup: float, seconds: float, hello: str) -> dict[str, object]:
    """Connect, warm up, count."""
    crowd = Crowd(hello)
    crowd.connect(urls)
    print("ready", file=sys.stderr, flush=True)
    crowd.read(warmup)
    crowd.reset()
    began, cpu = time.monotonic(), time.process_time()
    crowd.read(seconds)
    tally, elapsed, cpu = crowd.reset(), time.monotonic() - began, time.process_time() - cpu
    return {
        "sockets": len(urls),
        "deliveries": tally.deliveries,
        "deliveries_per_s": round(tally.deliveries / elapsed),
        "deliveries_per_read": round(tally.deliveries / max(1, tally.reads), 2),
        "client_cpu_us_per_delivery": round(cpu * 1e6 / max(1, tally.deliveries), 2),
        "client_cpu_share": round(cpu / elapsed, 2),
        "latency_ms": percentiles_ms(tally.latencies),
        "closed": tally.closed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--hello", default="", help="a text message that each client says first")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.urls.read_text().split(), arguments.warmup, arguments.seconds, arguments.hello)))


if __name__ == "__main__":
    main()
