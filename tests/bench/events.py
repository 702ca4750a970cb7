"""A publisher at a steady rate: events of new signals straight to the broker, as ingest's own publisher sends them.

    python -m tests.bench.events AMQP_URL EVENT --after SEQ --rate R

EVENT is a file with what `event_like` returned. Ingest must stand still meanwhile. Each signal's `reasoning` begins with the Unix
nanoseconds at which it was made. Events go out in batches, every 20 ms at most; a line is printed with the first. A rate that the
broker cannot take is not made up for by bursts. When it is terminated it prints the last position.
"""

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.bench.submit import made
from tests.support.stack import Stack
from tiercast_shared.messaging.broker import OutgoingEvent, Outlet
from tiercast_shared.messaging.topology import SIGNALS_EVENTS

BATCHES_PER_S = 50
STAMP = 19
"""Digits of Unix nanoseconds."""


async def event_like(stack: Stack) -> tuple[int, str]:
    """Submit one signal the usual way; returns the log's head, and as JSON what its event is like."""
    async with stack.producer_http() as http:
        (await http.post("/api/v1/external-signals/sync/signal", json=made(0))).raise_for_status()
    async with httpx.AsyncClient(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}) as http:
        page = (await http.get("/api/v1/log", params={"after": 0, "limit": 1000})).json()
    entry = page["entries"][-1]
    headers = {name: entry[name] for name in ("feed", "symbol", "received_at", "committed_at")}
    headers |= {"type": "signal.published", "schema": 1, "epoch": page["epoch"]}
    return page["head"], json.dumps({"data": entry["data"], "headers": headers})


def stamped(body: bytes, at: int) -> bytes:
    """The body with its time of making, whose place is at `at`, set to now."""
    return b"%s%d%s" % (body[:at], time.time_ns(), body[at + STAMP :])


async def publish(url: str, like: dict[str, Any], after: int, rate: float) -> None:
    """Publish until cancelled."""
    body, headers, seq = orjson.dumps(like["data"]), like["headers"], after
    at = body.index(b'"reasoning":"') + len(b'"reasoning":"')
    size = max(1, round(rate / BATCHES_PER_S))
    try:
        async with Outlet.open(url, SIGNALS_EVENTS, name="benchmark") as outlet:
            due = time.monotonic()
            while True:
                now = time.time()
                times = {"received_at": now, "committed_at": now, "published_at": now}
                batch = [
                    OutgoingEvent(stamped(body, at), {**headers, **times, "seq": seq + number}, type=headers["type"])
                    for number in range(1, size + 1)
                ]
                await outlet.publish(batch)
                if seq == after:
                    print("publishing", flush=True)
                seq += size
                due = max(due + size / rate, time.monotonic() - 1)
                await asyncio.sleep(due - time.monotonic())
    finally:
        print(seq, flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("event", type=Path)
    parser.add_argument("--after", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    options = parser.parse_args()
    like = json.loads(options.event.read_text())
    task = asyncio.ensure_future(publish(options.url, like, options.after, options.rate))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    asyncio.run(main())
