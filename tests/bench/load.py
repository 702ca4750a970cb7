"""A cheap WebSocket load client: thousands of sockets in one process, on picows.

    python -m tests.bench.load URLS --seconds S [--warmup W]

URLS is a file with one `ws://…` address per line, a socket each. Prints `ready` on standard error when all are connected, and at
the end one JSON object on standard output: deliveries, deliveries per second, latency percentiles in milliseconds from the
Unix nanoseconds in a message's `reasoning` to the client's read, and sockets closed by the server.
"""

import argparse
import asyncio
import json
import sys
import time
from array import array
from pathlib import Path

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

MARK = b'"reasoning":"'
CONNECTING_AT_ONCE = 100
SAMPLE_EVERY = 7  # a prime: no pattern of connections is preferred


class Tally:
    """What all sockets of this process have seen."""

    def __init__(self) -> None:
        self.counting = False
        self.deliveries = 0
        self.closed = 0
        self.latencies = array("d")

    def received(self, frame: WSFrame) -> None:
        if not self.counting:
            return
        self.deliveries += 1
        if self.deliveries % SAMPLE_EVERY:
            return
        payload = frame.get_payload_as_bytes()
        at = payload.find(MARK)
        if at >= 0:
            self.latencies.append(time.time() - int(payload[at + len(MARK) : at + len(MARK) + 19]) / 1e9)


class Socket(WSListener):
    """One client. It counts signals and ignores everything else."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and frame.payload_size > 300:
            self._tally.received(frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self._tally.closed += self._tally.counting


async def connect_all(urls: list[str], tally: Tally) -> None:
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def connect(url: str) -> None:
        async with gate:
            await ws_connect(lambda: Socket(tally), url, websocket_handshake_timeout=30)

    await asyncio.gather(*(connect(url) for url in urls))


def percentile(values: list[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3) if values else None


async def run(urls: list[str], warmup: float, seconds: float) -> dict[str, object]:
    tally = Tally()
    await connect_all(urls, tally)
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    await asyncio.sleep(warmup)
    tally.counting, began, cpu = True, time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    tally.counting, elapsed, cpu = False, time.monotonic() - began, time.process_time() - cpu
    latencies = sorted(tally.latencies)
    return {
        "sockets": len(urls),
        "deliveries": tally.deliveries,
        "deliveries_per_s": round(tally.deliveries / elapsed),
        "client_cpu_us_per_delivery": round(cpu * 1e6 / max(1, tally.deliveries), 2),
        "latency_ms": {
            name: percentile(latencies, share) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        },
        "closed": tally.closed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warmup", type=float, default=1.0)
    arguments = parser.parse_args()
    urls = arguments.urls.read_text().split()
    print(json.dumps(uvloop.run(run(urls, arguments.warmup, arguments.seconds))))


if __name__ == "__main__":
    main()
