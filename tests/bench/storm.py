"""A reconnect storm: five thousand clients with a cursor come back at once, while others go on being served.

    python -m tests.bench.storm [--sockets 5000] [--missed 20] [--repetitions 3]

Every client has received signals, loses its connection, misses some and comes back with its cursor; it has recovered when it
has been sent every one that it missed. Two hundred other clients stay connected: their 99th percentile during the storm stands
beside that of the seconds before.
"""

import argparse
import re
import time
from contextlib import ExitStack
from typing import Any

import httpx

from tests.bench.crowd import Crowd
from tests.bench.figures import Figure, report
from tests.bench.system import client_urls, load, result_of, submitting, system
from tests.bench.workspace import workspace
from tests.support.producers import premium
from tests.support.stack import Stack

HEALTHY, QUIET_SECONDS, STORM_SECONDS = 200, 5.0, 10.0
TARGET_SECONDS, TARGET_FACTOR = 3.0, 3.0
RATE = 20.0
WITHIN = 60.0
CURSOR = re.compile(rb'"cursor":"([^"]+)"')


def submit(stack: Stack, count: int) -> None:
    """Signals that are missed."""
    with httpx.Client(base_url=stack.ingest.url, headers={"X-API-Key": stack.api_key}, timeout=30) as http:
        body = {"signals": [premium() for _ in range(count)]}
        http.post("/api/v1/external-signals/sync/signals", json=body).raise_for_status()


def storm(stack: Stack, urls: list[str], missed: int) -> dict[str, Any]:
    """One storm; seconds until all have all they missed."""
    crowd = Crowd()
    first = crowd.connect(urls[:1])[0]
    while not (found := CURSOR.search(first)):  # `connected` may come after the answer to the upgrade
        crowd.close()
        first = crowd.connect(urls[:1])[0]
    cursor = found.group(1).decode()
    crowd.connect(urls[1:])
    crowd.close()
    submit(stack, missed)
    wait_for_head(stack, urls[0], cursor, missed)
    back, expected = Crowd(), missed * len(urls)
    back.connect(urls[:1])  # so that the process is warm
    back.close()
    back.reset()
    began = time.monotonic()
    answers = back.connect([f"{url}&cursor={cursor}" for url in urls])
    already = sum(answer.count(b'"type":"new_signal"') for answer in answers)
    back.read(WITHIN, lambda: already + back.tally.deliveries >= expected)
    elapsed = time.monotonic() - began
    received = already + back.tally.deliveries
    back.close()
    return {"seconds": elapsed, "received": received, "expected": expected}


def wait_for_head(stack: Stack, url: str, cursor: str, missed: int) -> None:
    """Until the gateway has all that was missed."""
    token = url.partition("token=")[2]
    deadline = time.monotonic() + WITHIN
    headers = {"Authorization": f"Bearer {token}"}
    query = {"after": cursor, "limit": missed}
    while True:
        answer = httpx.get(f"{stack.gateway.url}/api/v1/signals/latest", params=query, headers=headers)
        if len(answer.raise_for_status().json()) >= missed:
            return
        if time.monotonic() > deadline:
            raise SystemExit("the gateway does not come to the end of the log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=5000)
    parser.add_argument("--missed", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    alone: list[dict[str, Any]] = []
    calm, stormy = [], []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        for _ in range(options.repetitions):
            alone.append(storm(stack, urls, options.missed))
            with submitting(stack, RATE):
                calm.append(result_of(load(urls[:HEALTHY], directory, QUIET_SECONDS))["latency_ms"]["p99"])
                healthy = load(urls[:HEALTHY], directory, STORM_SECONDS)
                storm(stack, urls, options.missed)
                stormy.append(result_of(healthy)["latency_ms"]["p99"])
    seconds = Figure(
        f"{options.sockets} clients recovered after", "s", [each["seconds"] for each in alone], 7, target="≤ 3 s"
    )
    seconds.met = seconds.median <= TARGET_SECONDS
    whole = all(each["received"] == each["expected"] for each in alone)
    share = Figure(
        "of what they missed", "%", [100.0 * each["received"] / each["expected"] for each in alone], 7, target="100 %"
    )
    share.met = whole
    healthy_p99 = Figure("p99 of 200 others meanwhile", "ms", stormy, 7, "before", calm, "≤ 3 × before")
    healthy_p99.met = (healthy_p99.ratio or 0) <= TARGET_FACTOR
    report("storm", [seconds, share, healthy_p99], options=vars(options), series={"storms": alone})


if __name__ == "__main__":
    main()
