"""Deliveries a second that one gateway on one core carries: the rate is raised until latency no longer settles.

    python -m tests.bench.capacity [--sockets 1000] [--rates 100,200,…] [--seconds 6]

Events come through the broker as ingest's publisher sends them, while ingest itself stands still: what one core of the gateway
carries is asked here, not what the other core does beside it. A rate has settled when at least 98 % of what it asks for is
delivered and the 99th percentile from a signal's making to the read stays under 250 ms. Where the other core (publisher, broker and
the load client) is the first to be full, the client's share is printed: the figure is then a lower bound.
"""

import argparse
import asyncio
import time
from contextlib import ExitStack

from tests.bench.events import event_like
from tests.bench.figures import Figure, report
from tests.bench.machine import cpu_seconds
from tests.bench.system import client_urls, load, publishing, result_of, system
from tests.bench.workspace import workspace

RATES = "100,200,300,400,500,600,700,800,900,1000,1200"
SETTLED_MS, SETTLED_SHARE = 250.0, 0.98
TARGET_RATE, TARGET_P99_MS, TARGET_HIGHEST = 500, 50.0, 600_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rates", default=RATES)
    parser.add_argument("--seconds", type=float, default=6)
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
            with publishing(stack, event, head, rate) as publisher:
                client = load(urls, directory, options.seconds, warmup=2)
                time.sleep(2)
                used = cpu_seconds(stack.gateway.pid)
                time.sleep(options.seconds)
                used = cpu_seconds(stack.gateway.pid) - used
                found = result_of(client)
            head = publisher.last
            p99 = found["latency_ms"]["p99"] or float("inf")
            step = {
                "rate": rate,
                "deliveries_per_s": found["deliveries_per_s"],
                "deliveries_per_read": found["deliveries_per_read"],
                "p50_ms": found["latency_ms"]["p50"] or float("inf"),
                "p99_ms": p99,
                "gateway_share": used / options.seconds,
                "client_share": found["client_cpu_share"],
                "cpu_us_per_delivery": used * 1e6 / max(1, found["deliveries_per_s"] * options.seconds),
                "settled": p99 <= SETTLED_MS
                and found["deliveries_per_s"] >= SETTLED_SHARE * rate * options.sockets
                and not found["closed"],
            }
            steps.append(step)
            print({name: round(value, 2) for name, value in step.items()}, flush=True)
            if not step["settled"]:
                break
    report("capacity", figures(steps), options=vars(options), series={"steps": steps})


def figures(steps: list[dict[str, float]]) -> list[Figure]:
    """The highest rate that settled, and latency at the rate of the target."""
    settled = [step for step in steps if step["settled"]]
    highest = max((step["deliveries_per_s"] for step in settled), default=0.0)
    found = [
        Figure("deliveries/s on one core", "/s", [highest], 2, target="≥ 600,000/s", met=highest >= TARGET_HIGHEST)
    ]
    at_target = [step for step in steps if step["rate"] == TARGET_RATE]
    if at_target:
        p99 = at_target[0]["p99_ms"]
        name = "p99 at 500 signals/s to 1,000 sockets"
        found.append(Figure(name, "ms", [p99], 2, target="≤ 50 ms", met=p99 <= TARGET_P99_MS))
    return found


if __name__ == "__main__":
    main()
