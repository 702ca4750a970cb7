"""Steady load with clients coming and going: does anything grow, or slow down?

    python -m tests.bench.soak [--minutes 10] [--sockets 1000] [--rate 20]

Half of the clients stay; the other half is replaced a tenth at a time, without a close frame, as lost networks do. Memory, file
descriptors, threads and sockets of each service and latency are read at the start and at the end of the load, ten seconds each.
"""

import argparse
import statistics
import time
from contextlib import ExitStack
from typing import Any

import psutil

from tests.bench.crowd import Crowd
from tests.bench.figures import Figure, report
from tests.bench.load import percentiles_ms
from tests.bench.system import client_urls, submitting, system
from tests.bench.workspace import workspace
from tests.support.stack import Stack

SETTLE, WINDOW = 15.0, 10.0
GROUPS = 10


def state(stack: Stack) -> dict[str, dict[str, float]]:
    """What each service holds now."""
    found = {}
    for service in stack.services:
        process = psutil.Process(service.pid)
        found[service.kind] = {
            "resident_mib": process.memory_info().rss / 2**20,
            "descriptors": process.num_fds(),
            "threads": process.num_threads(),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20)
    options = parser.parse_args()
    samples: list[dict[str, Any]] = []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        half = options.sockets // 2
        cleanup.enter_context(submitting(stack, options.rate))
        staying = Crowd()
        staying.connect(urls[:half])
        guests = [Crowd() for _ in range(GROUPS)]
        share = half // GROUPS
        for number, guest in enumerate(guests):
            guest.connect(urls[half + number * share : half + (number + 1) * share])
        staying.read(SETTLE)
        end, turn, replaced = time.monotonic() + options.minutes * 60, 0, 0
        while True:
            staying.reset()
            staying.read(WINDOW)
            tally = staying.reset()
            samples.append(
                {
                    "services": state(stack),
                    "latency_ms": percentiles_ms(tally.latencies),
                    "deliveries_per_s": tally.deliveries / WINDOW,
                    "closed": tally.closed,
                }
            )
            if time.monotonic() > end:
                break
            for _ in range(GROUPS // 2):
                guest, turn = guests[turn % GROUPS], turn + 1
                guest.read(0.05)
                replaced += len(guest)
                guest.close()
                guest.reset()
                at = half + (turn % GROUPS) * share
                guest.connect(urls[at : at + share])
                for other in guests:
                    other.read(0.05)
                staying.read(1)
    first, last = samples[0], samples[-1]
    print(
        f"{replaced:,} clients came and went; {sum(sample['closed'] for sample in samples)} of those that stay were closed"
    )
    if any(sample["closed"] for sample in samples):
        raise SystemExit("sockets of clients that stay were closed: nothing can be said of them")
    report(
        "soak", figures(first, last, samples), options=vars(options), series={"samples": samples, "replaced": replaced}
    )


def figures(first: dict[str, Any], last: dict[str, Any], samples: list[dict[str, Any]]) -> list[Figure]:
    """The end beside the start."""
    found = []
    for kind in first["services"]:
        for name, unit in (("resident_mib", "MiB"), ("descriptors", ""), ("threads", "")):
            begun, ended = first["services"][kind][name], last["services"][kind][name]
            found.append(Figure(f"{kind} {name.replace('_mib', '')}", unit, [ended], None, "at the start", [begun]))
    for name in ("p50", "p99"):
        quarter = max(1, len(samples) // 4)
        begun = statistics.median(sample["latency_ms"][name] for sample in samples[:quarter])
        ended = statistics.median(sample["latency_ms"][name] for sample in samples[-quarter:])
        found.append(Figure(f"{name}, last quarter", "ms", [ended], None, "first quarter", [begun]))
    return found


if __name__ == "__main__":
    main()
