"""A reconnect storm: five thousand clients with a cursor come back at once, while others go on being served.

    python -m tests.bench.storm [--sockets 5000] [--missed 20] [--repetitions 3]

Every client has received signals, loses its connection, misses some and comes back with its cursor; it has recovered when it
has been sent every one that it missed. Beside it the same crowd comes to a bare picows
server that asks for nothing and sends each as many bytes: what upgrades and writes take alone, and the crowd's own core. In a
second storm signals go on, and two hundred other clients stay connected: their 99th percentile from the crowd's loss to its
recovery stands beside that of the seconds before, when the crowd was there too.
"""

import argparse
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.bench.crowd import SIGNAL, Crowd
from tests.bench.figures import Figure, report
from tests.bench.system import bare_services, client_urls, load, result_of, submitting, system
from tests.bench.workspace import workspace
from tests.support.producers import premium
from tests.support.stack import Stack

HEALTHY, WINDOW_SECONDS, WARMUP_SECONDS = 200, 4.0, 1.0
TARGET_SECONDS, TARGET_FACTOR = 3.0, 3.0
RATE = 10.0
"""Signals a second while others are watched: fifty thousand deliveries a second."""
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
    cursor = first_cursor(crowd, urls[0])
    crowd.connect(urls[1:])
    crowd.close()
    submit(stack, missed)
    wait_for_head(stack, urls[0], cursor, missed)
    return come_back(urls[0], [f"{url}&cursor={cursor}" for url in urls], missed)


def bare_storm(directory: Path, stack: Stack, sockets: int, missed: int) -> dict[str, Any]:
    """The same storm on a server that does nothing but upgrade and write."""
    with bare_services(directory, stack.amqp_url, missed=missed) as bare:
        return come_back(bare.gateway_url, [bare.gateway_url] * sockets, missed)


def come_back(first: str, urls: list[str], missed: int) -> dict[str, Any]:
    """All at once, until all have what they missed."""
    back, expected = Crowd(), missed * len(urls)
    back.connect([first])  # so that the process is warm
    back.close()
    back.reset()
    began = time.monotonic()
    answers = back.connect(urls)
    already = sum(answer.count(SIGNAL) for answer in answers)
    back.read(WITHIN, lambda: already + back.tally.deliveries >= expected)
    elapsed = time.monotonic() - began
    received = already + back.tally.deliveries
    back.close()
    return {"seconds": elapsed, "received": received, "expected": expected}


def beside_others(stack: Stack, urls: list[str], missed: int, directory: Path) -> tuple[float, float]:
    """The 99th percentile of others, in ms: while a crowd is there, and while it is lost and comes back."""
    crowd, back = Crowd(), Crowd()
    with submitting(stack, RATE):
        cursor = first_cursor(crowd, urls[0])
        crowd.connect(urls[1:])
        calm = load(urls[:HEALTHY], directory, WINDOW_SECONDS, warmup=WARMUP_SECONDS)
        crowd.read(WARMUP_SECONDS + WINDOW_SECONDS)
        before = result_of(calm)["latency_ms"]["p99"]
        stormy = load(urls[:HEALTHY], directory, WINDOW_SECONDS, warmup=WARMUP_SECONDS)
        crowd.read(WARMUP_SECONDS)
        crowd.close()
        submit(stack, missed)
        back.connect([f"{url}&cursor={cursor}" for url in urls])
        while stormy.poll() is None:
            back.read(0.1)
        meanwhile = result_of(stormy)["latency_ms"]["p99"]
    back.close()
    return before, meanwhile


def first_cursor(crowd: Crowd, url: str) -> str:
    """Connect one client and return the cursor that it is told."""
    while True:
        first = crowd.connect([url])[0]
        if found := CURSOR.search(first):
            return found.group(1).decode()
        crowd.close()  # `connected` came after the answer to the upgrade


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
    bare: list[dict[str, Any]] = []
    calm: list[float] = []
    stormy: list[float] = []
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends))
        urls = client_urls(stack, options.sockets)
        for _ in range(options.repetitions):
            bare.append(bare_storm(directory, stack, options.sockets, options.missed))
            alone.append(storm(stack, urls, options.missed))
            before, meanwhile = beside_others(stack, urls, options.missed, directory)
            calm.append(before)
            stormy.append(meanwhile)
    seconds = Figure(
        f"{options.sockets} clients recovered after", "s", [each["seconds"] for each in alone], 7,
        "bare picows", [each["seconds"] for each in bare], "≤ 3 s",
    )  # fmt: skip
    seconds.met = seconds.median <= TARGET_SECONDS
    whole = all(each["received"] == each["expected"] for each in alone)
    share = Figure(
        "of what they missed", "%", [100.0 * each["received"] / each["expected"] for each in alone], 7, target="100 %"
    )
    share.met = whole
    healthy_p99 = Figure("p99 of 200 others meanwhile", "ms", stormy, 7, "before", calm, "≤ 3 × before")
    healthy_p99.met = (healthy_p99.ratio or 0) <= TARGET_FACTOR
    report("storm", [seconds, share, healthy_p99], options=vars(options), series={"storms": alone, "bare": bare})


if __name__ == "__main__":
    main()
