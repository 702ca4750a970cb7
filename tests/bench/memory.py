"""Memory of an idle connection, and what is left when all have gone.

python -m tests.bench.memory [--sockets 5000]
"""

import argparse
import time
from contextlib import ExitStack

import httpx

from tests.bench.crowd import Crowd
from tests.bench.figures import Figure, report
from tests.bench.machine import resident_kib
from tests.bench.system import client_urls, system
from tests.bench.workspace import workspace

TARGET_KB, TARGET_RETURN = 13.0, 1.10
GONE_WITHIN = 30.0
SETTLE = 13.0
"""Seconds in which the gateway may tidy up behind those who have gone."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    per_connection, returned = [], []
    curve: list[tuple[int, int]] = []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        for repetition in range(options.repetitions):
            with system(directory, backends) as stack:
                urls = client_urls(stack, options.sockets)
                pid, crowd = stack.gateway.pid, Crowd()
                crowd.connect(urls[:10])  # what is loaded at the first connection is no connection's cost
                wait_for_sockets(stack.gateway.url, len(crowd))
                start = resident_kib(pid)
                for step in range(10, options.sockets, options.sockets // 10):
                    crowd.connect(urls[step : step + options.sockets // 10])
                    if not repetition:
                        curve.append((len(crowd), resident_kib(pid)))
                wait_for_sockets(stack.gateway.url, len(crowd))
                crowd.read(2)
                full, held = resident_kib(pid), len(crowd)
                crowd.close()
                wait_for_sockets(stack.gateway.url, 0)
                time.sleep(SETTLE)
                per_connection.append((full - start) * 1.024 / (held - 10))
                returned.append(resident_kib(pid) / start)
    report(
        "memory",
        [
            Figure(
                "memory per idle connection",
                "kB",
                per_connection,
                5,
                target="≤ 13 kB",
                met=max(per_connection) <= TARGET_KB,
            ),
            Figure(
                "resident size after all left ÷ before",
                "×",
                returned,
                5,
                target="≤ 1.10",
                met=max(returned) <= TARGET_RETURN,
            ),
        ],
        options=vars(options),
        series={"connections_to_kib": curve},
    )


def wait_for_sockets(url: str, count: int) -> None:
    """Until the gateway itself counts so many."""
    deadline = time.monotonic() + GONE_WITHIN
    while httpx.get(f"{url}/ws/stats").json()["total_connections"] != count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the gateway does not come to {count} connections: {httpx.get(f'{url}/ws/stats').text}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
