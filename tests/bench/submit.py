"""A producer at a steady rate: signals over HTTP to ingest, one at a time or in bulk, until it is terminated.

    API_KEY=… python -m tests.bench.submit URL --rate R [--bulk N] [--symbols S]

Each signal is PREMIUM and its `reasoning` begins with the Unix nanoseconds at which it was made. A line is printed when the
first is accepted. A rate that ingest cannot take is not made up for by bursts: what is late is left out.
"""

import argparse
import os
import time

import httpx

from tests.support.producers import submission

REASONING_BYTES = 100
SINGLE, BULK = "/api/v1/external-signals/sync/signal", "/api/v1/external-signals/sync/signals"


def made(symbol: int) -> dict[str, object]:
    """A signal of this moment."""
    return submission(confidence=90.0, symbol=f"S{symbol}", reasoning=f"{time.time_ns()}{'x' * (REASONING_BYTES - 19)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--bulk", type=int, default=1)
    parser.add_argument("--symbols", type=int, default=1)
    options = parser.parse_args()
    period, number = options.bulk / options.rate, 0
    with httpx.Client(base_url=options.url, headers={"X-API-Key": os.environ["API_KEY"]}, timeout=30) as http:
        due = time.monotonic()
        while True:
            signals = [made((number + at) % options.symbols) for at in range(options.bulk)]
            number += options.bulk
            body = signals[0] if options.bulk == 1 else {"signals": signals}
            http.post(SINGLE if options.bulk == 1 else BULK, json=body).raise_for_status()
            if number == options.bulk:
                print("submitting", flush=True)
            due = max(due + period, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
