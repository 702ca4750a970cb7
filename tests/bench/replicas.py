"""Throughput of one, two and three gateway replicas on one machine, and what the broker pays for each.

    python -m tests.bench.replicas [--sockets 600] [--rate 50] [--seconds 6]

Every replica has the same number of sockets and receives every signal. On a machine with two cores the replicas share one, so
deliveries per second of CPU is what tells whether they are independent of each other.
"""

import argparse
import time
from contextlib import ExitStack

from tests.bench.figures import Figure, report
from tests.bench.machine import broker_cpu_seconds, cpu_seconds
from tests.bench.system import client_urls, load, result_of, submitting, system
from tests.bench.workspace import workspace

COUNTS = (1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=600)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    rows = []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        for count in COUNTS:
            with system(directory, backends, gateways=count) as stack:
                urls = [url for each in stack.gateways for url in client_urls(stack, options.sockets, gateway=each)]
                with submitting(stack, options.rate):
                    client = load(urls, directory, options.seconds)
                    time.sleep(1)
                    pids = [gateway.pid for gateway in stack.gateways]
                    used, broker = sum(map(cpu_seconds, pids)), broker_cpu_seconds()
                    time.sleep(options.seconds)
                    used = sum(map(cpu_seconds, pids)) - used
                    broker = broker_cpu_seconds() - broker
                    found = result_of(client)
            deliveries = found["deliveries_per_s"] * options.seconds
            row = {
                "replicas": count,
                "deliveries_per_s": found["deliveries_per_s"],
                "per_core_second": deliveries / used,
                "broker_ms_per_signal": broker * 1000 / (options.rate * options.seconds),
                "p99_ms": found["latency_ms"]["p99"],
            }
            rows.append(row)
            print(row, flush=True)
    one, most = rows[0], rows[-1]
    name = f"deliveries per core-second, {most['replicas']} replicas"
    report(
        "replicas",
        [
            Figure(name, "/s", [most["per_core_second"]], None, "one replica", [one["per_core_second"]]),
            Figure(
                f"broker's CPU per signal, {most['replicas']} replicas", "ms", [most["broker_ms_per_signal"]], None,
                "one replica", [one["broker_ms_per_signal"]],
            ),
        ],
        options=vars(options),
        series={"replicas": rows},
    )  # fmt: skip


if __name__ == "__main__":
    main()
