"""Time from submission to socket, beside one commit, one confirmed publish, one consume and one send.

    python -m tests.bench.latency [--sockets 1000] [--rate 20] [--seconds 8] [--repetitions 3]

The system's figure is from the moment a producer makes a signal to each of a thousand clients' read, so it includes the HTTP
request and the fan-out itself. The floor does the same four steps with nothing around them, at the same rate and in the same
places: the row is inserted and committed, the event published with confirms on core 1; consumed and sent to one socket on core
0; read on core 1. Between the two stand services that only carry a signal on (`bare_services`): what they add to the floor is
the price of a request, of processes that share a core, and of a thousand sends; what the system adds to them is its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, report
from tests.bench.hops import buckets, percentiles_ms
from tests.bench.machine import pinned
from tests.bench.system import (
    HERE,
    OTHERS_CORE,
    bare_services,
    client_urls,
    load,
    result_of,
    submitting,
    submitting_to,
    system,
)
from tests.bench.workspace import workspace

TARGET_RATIO, TARGET_P99_MS = 1.5, 50.0


def floor(directory: Path, amqp_url: str, rate: float, seconds: float) -> dict[str, Any]:
    """One run of the four bare steps; milliseconds."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.latency_floor",
        amqp_url,
        str(directory / "floor.db"),
        str(rate),
        str(seconds),
    ]
    done = subprocess.run(
        pinned(OTHERS_CORE, command), stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parents[1]
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    floors, bare_many, bare_few, many, one, hops = [], [], [], [], [], []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        for _ in range(options.repetitions):
            floors.append(floor(directory, stack.amqp_url, options.rate, options.seconds))
            with (
                bare_services(directory, stack.amqp_url) as services,
                submitting_to(services.ingest_url, "none", options.rate),
            ):
                gateway = services.gateway_url
                bare_few.append(result_of(load([gateway] * 7, directory, options.seconds))["latency_ms"])
                bare_many.append(result_of(load([gateway] * options.sockets, directory, options.seconds))["latency_ms"])
            with submitting(stack, options.rate):
                one.append(result_of(load(urls[:7], directory, options.seconds))["latency_ms"])
                before = buckets(stack)
                many.append(result_of(load(urls, directory, options.seconds))["latency_ms"])
                hops.append(percentiles_ms(before, buckets(stack)))
    bare = [each["p50"] for each in floors]
    p50 = Figure(
        f"p50 from submission to {options.sockets} sockets", "ms", [each["p50"] for each in many], 3,
        "four bare steps", bare, "≤ 1.5 × the floor",
    )  # fmt: skip
    assert p50.ratio is not None
    p50.met = p50.ratio <= TARGET_RATIO
    p99s = [each["p99"] for each in many]
    p99 = Figure(
        "p99", "ms", p99s, 3, "four bare steps, p99", [each["p99"] for each in floors], "≤ 50 ms",
        statistics.median(p99s) <= TARGET_P99_MS,
    )  # fmt: skip
    few = Figure("p50 from submission to 7 sockets", "ms", [each["p50"] for each in one], None, "four bare steps", bare)
    beside = [
        Figure(
            f"p50 to {sockets} sockets, beside bare services", "ms", [each["p50"] for each in ours], None, "bare services",
            [each["p50"] for each in theirs],
        )
        for sockets, ours, theirs in ((options.sockets, many, bare_many), (7, one, bare_few))
    ]  # fmt: skip
    report(
        "latency",
        [p50, p99, few, *beside],
        options=vars(options),
        series={
            "floor": floors,
            "bare_many": bare_many,
            "bare_few": bare_few,
            "many": many,
            "few": one,
            "hops_ms": hops,
        },
    )


if __name__ == "__main__":
    main()
