"""Deliveries a second that one gateway on one core carries: the rate is raised until latency no longer settles.

    python -m tests.bench.capacity [--sockets 1000] [--rates 100,200,…] [--seconds 6]

Events come through the broker as ingest's publisher sends them, while ingest itself stands still: what one core of the gateway
carries is asked here, not what the other core does beside it. A rate has settled when at least 98 % of what it asks for is
delivered and the 99th percentile from a signal's making to the read stays under 250 ms. Beside it stand how busy the other core is
(publisher, broker and the load client), and the gateway's own part of the time: where that core is the first to be full, what
clients see is a bound for the gateway, not its figure. The rate of the target is measured several times.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.bench.events import event_like
from tests.bench.figures import Figure, report
from tests.bench.hops import buckets, percentiles_ms
from tests.bench.machine import cpu_seconds
from tests.bench.system import OTHERS_CORE, client_urls, load, publishing, result_of, system
from tests.bench.workspace import workspace
from tests.support.stack import Stack

RATES = "100,200,300,400,500,600,700,800,900,1000,1200"
SETTLED_MS, SETTLED_SHARE = 250.0, 0.98
TARGET_RATE, TARGET_P99_MS, TARGET_HIGHEST = 500, 50.0, 600_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rates", default=RATES)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--repetitions", type=int, default=3, help="of the rate of the target")
    options = parser.parse_args()
    steps: list[dict[str, float]] = []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        event = directory / "event.json"
        head, like = asyncio.run(event_like(stack))
        event.write_text(like)
        stack.ingest.pause()
        cleanup.callback(stack.ingest.resume)
        for rate in map(float, options.rates.split(",")):
            for _ in range(options.repetitions if rate == TARGET_RATE else 1):
                with publishing(stack, event, head, rate) as publisher:
                    step = measure(stack, urls, directory, rate, options.seconds)
                head = publisher.last
                steps.append(step)
                print({name: round(value, 2) for name, value in step.items()}, flush=True)
            if not step["settled"]:
                break
    report("capacity", figures(steps), options=vars(options), series={"steps": steps})


def measure(stack: Stack, urls: list[str], directory: Path, rate: float, seconds: float) -> dict[str, float]:
    """One rate, while it is published."""
    client = load(urls, directory, seconds, warmup=2)
    time.sleep(2)
    used, before = cpu_seconds(stack.gateway.pid), buckets(stack)
    psutil.cpu_percent(percpu=True)  # what it says next is since now
    time.sleep(seconds)
    busy = psutil.cpu_percent(percpu=True)[OTHERS_CORE] / 100
    used, hops = cpu_seconds(stack.gateway.pid) - used, percentiles_ms(before, buckets(stack))
    found = result_of(client)
    p99 = found["latency_ms"]["p99"] or float("inf")
    return {
        "rate": rate,
        "deliveries_per_s": found["deliveries_per_s"],
        "deliveries_per_read": found["deliveries_per_read"],
        "p50_ms": found["latency_ms"]["p50"] or float("inf"),
        "p99_ms": p99,
        "consumed_written_p99_ms": hops["consumed_written"]["p99"],
        "gateway_share": used / seconds,
        "client_share": found["client_cpu_share"],
        "other_core_share": busy,
        "cpu_us_per_delivery": used * 1e6 / max(1, found["deliveries_per_s"] * seconds),
        "settled": p99 <= SETTLED_MS
        and found["deliveries_per_s"] >= SETTLED_SHARE * rate * len(urls)
        and not found["closed"],
    }


def figures(steps: list[dict[str, float]]) -> list[Figure]:
    """The highest rate that settled, and latency at the rate of the target."""
    settled = [step for step in steps if step["settled"]]
    highest = max((step["deliveries_per_s"] for step in settled), default=0.0)
    found = [
        Figure("deliveries/s on one core", "/s", [highest], 2, target="≥ 600,000/s", met=highest >= TARGET_HIGHEST)
    ]
    at_target = [step for step in steps if step["rate"] == TARGET_RATE]
    if at_target:
        p99 = Figure("p99 at 500 signals/s to 1,000 sockets", "ms", [step["p99_ms"] for step in at_target], 2)
        p99.target, p99.met = "≤ 50 ms", p99.median <= TARGET_P99_MS
        inside = [step["consumed_written_p99_ms"] for step in at_target]
        busy = [step["other_core_share"] * 100 for step in at_target]
        found += [
            p99,
            Figure("of that in the gateway: p99 from the broker's message to the last socket", "ms", inside),
            Figure("meanwhile the core of publisher, broker and load client is busy", "%", busy),
        ]
    return found


if __name__ == "__main__":
    main()
