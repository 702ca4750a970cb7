"""Sends signals to this container's ingest as the producer `demo`, one in five of them premium: `demo.py COUNT PER_SECOND`."""

import hashlib
import http.client
import json
import os
import random
import sys
import time
from datetime import UTC, datetime
from uuid import uuid4

PATH = "/api/v1/external-signals/sync/signal"
HASHED = (
    "signal_id",
    "symbol",
    "action",
    "entry_price",
    "target_price",
    "stop_price",
    "confidence",
    "strategy",
    "timestamp",
)
STORED = {http.HTTPStatus.CREATED, http.HTTPStatus.OK}
SYMBOLS = {"AAPL": 230.0, "MSFT": 420.0, "BTC/USD": 68000.0, "ETH/USD": 3500.0, "BRK.B": 460.0}


def signal() -> dict[str, object]:
    """A signal at a price near the usual one, with its hash."""
    symbol, usual = random.choice(list(SYMBOLS.items()))
    price = round(usual * random.uniform(0.97, 1.03), 2)
    made: dict[str, object] = {
        "signal_id": f"demo-{uuid4()}",
        "symbol": symbol,
        "action": random.choice(("BUY", "SELL")),
        "entry_price": price,
        "confidence": round(random.uniform(85, 99) if random.random() < 0.2 else random.uniform(50, 84), 1),
        "strategy": "demo",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    text = json.dumps({name: made.get(name) for name in HASHED}, sort_keys=True)
    return made | {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def main() -> int:
    """Send each until it is accepted; returns 1 when one never can be."""
    count, per_second = int(sys.argv[1]), float(sys.argv[2])
    for number in range(1, count + 1):
        body = json.dumps(signal())
        while (refusal := send(body)) is not None:
            status, text = refusal
            print(f"signal {number}: {status or 'no answer'} {text}", flush=True)
            if status is not None and status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                return 1
            time.sleep(1)  # 503 and no answer: the same again, which is never stored twice
        time.sleep(1 / per_second)
    print(f"{count} signals accepted")
    return 0


def send(body: str) -> tuple[int | None, str] | None:
    """Submit once. None when it is stored, else the status, if there was an answer, and why not."""
    key = json.loads(os.environ["INGEST_API_KEYS"])["demo"]
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("INGEST_PORT") or 8001), timeout=10)
    try:
        connection.request("POST", PATH, body, {"X-API-Key": key, "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        return None, str(error)
    finally:
        connection.close()
    return None if answer.status in STORED else (answer.status, text)


if __name__ == "__main__":
    raise SystemExit(main())
