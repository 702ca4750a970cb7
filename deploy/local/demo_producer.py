#!/usr/bin/env python3
"""A producer of trading signals, as a customer of Tiercast would write one: pika, and no code of Tiercast.

It replays ten years of monthly stock prices (the series `stocks` inside the package vega_datasets) through a few
moving-average crossovers and publishes each crossing as a signal.
"""

import argparse
import contextlib
import csv
import hashlib
import itertools
import json
import os
import shlex
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGTERM, default_int_handler
from signal import signal as on_signal
from urllib.parse import unquote, urlsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker, UnroutableError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

EXCHANGE = ROUTING_KEY = "signals.inbound"
WINDOWS = ((1, 3), (2, 5), (3, 6), (3, 9), (4, 12))  # months of the short and of the long average
PREMIUM_FROM = 85.0
HASHED = (
    *("signal_id", "symbol", "action", "entry_price", "target_price"),
    *("stop_price", "confidence", "strategy", "timestamp"),
)
RETRY_SECONDS = 1.0
NO_CONNECTION = (AMQPError, AMQPConnectorException, OSError)  # all that pika raises when it cannot connect


@dataclass(frozen=True)
class Crossing:
    """The short average crossed the long one in some month."""

    month: datetime
    symbol: str
    strategy: str
    action: str
    price: float
    move: float
    """Change of the price in that month, as a fraction."""

    @property
    def confidence(self) -> float:
        """50 for a price that stood still, 85 (PREMIUM) for a move of 11.7 %, at most 99."""
        return round(min(99.0, 50 + 300 * abs(self.move)), 1)


def prices() -> dict[str, list[tuple[datetime, float]]]:
    """Read the monthly prices of each symbol, oldest first; only the file is used, importing the package takes a second."""
    package = find_spec("vega_datasets")
    if package is None or package.origin is None:
        raise SystemExit("demo: the package vega_datasets is not installed")
    series: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    with (Path(package.origin).parent / "_data" / "stocks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            month = datetime.strptime(row["date"], "%b %d %Y").replace(tzinfo=UTC)
            series[row["symbol"]].append((month, float(row["price"])))
    return dict(series)


def crossings(series: dict[str, list[tuple[datetime, float]]]) -> list[Crossing]:
    """Return every crossing of every symbol and pair of windows, in the order of time."""
    found = (
        crossing
        for symbol, history in series.items()
        for short, long in WINDOWS
        for crossing in _crossings(symbol, history, short, long)
    )
    return sorted(found, key=lambda crossing: (crossing.month, crossing.symbol, crossing.strategy))


def _crossings(symbol: str, history: list[tuple[datetime, float]], short: int, long: int) -> Iterator[Crossing]:
    values = [price for _, price in history]
    was_above: bool | None = None
    for end in range(long, len(values) + 1):
        above = sum(values[end - short : end]) / short > sum(values[end - long : end]) / long
        if was_above is not None and above != was_above:
            month, price = history[end - 1]
            action = "BUY" if above else "SELL"
            yield Crossing(month, symbol, f"sma_{short}_{long}", action, price, price / values[end - 2] - 1)
        was_above = above


def submission(crossing: Crossing, signal_id: str, now: datetime) -> dict[str, object]:
    """Return the signal as the protocol wants it, hash included."""
    direction = 1 if crossing.action == "BUY" else -1
    risk = max(0.02, abs(crossing.move) / 2)
    signal: dict[str, object] = {
        "signal_id": signal_id,
        "symbol": crossing.symbol,
        "action": crossing.action,
        "entry_price": crossing.price,
        "target_price": round(crossing.price * (1 + 2 * direction * min(risk, 0.4)), 2),
        "stop_price": round(crossing.price * (1 - direction * min(risk, 0.4)), 2),
        "confidence": crossing.confidence,
        "strategy": crossing.strategy,
        "timestamp": now.isoformat(),
        "data_source": "vega_datasets.stocks",
        "reasoning": f"{crossing.strategy} crossed in {crossing.month:%B %Y}, price moved {crossing.move:+.1%}",
    }
    hashed = json.dumps({name: signal[name] for name in HASHED}, sort_keys=True)
    signal["sha256"] = hashlib.sha256(hashed.encode()).hexdigest()
    return signal


class Producer:
    """A confirmed publisher. After a lost connection it repeats what was not confirmed: the id makes that harmless."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._user = unquote(urlsplit(url).username or "guest")
        self._connect()

    def publish(self, signal: dict[str, object]) -> None:
        """Return when the broker has taken responsibility for the signal."""
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=str(signal["signal_id"]),
            user_id=self._user,
            headers={"x-producer": "demo"},
        )
        body = json.dumps(signal).encode()
        while True:
            try:
                self._channel.basic_publish(EXCHANGE, ROUTING_KEY, body, properties, mandatory=True)
            except (ChannelClosedByBroker, UnroutableError):
                raise  # trying again would not help
            except AMQPError as error:
                print(f"demo: not confirmed ({error!r}), trying again", file=sys.stderr)
                self._reconnect()
            else:
                return

    def wait(self, seconds: float) -> None:
        """Wait, while the connection's heartbeats go on."""
        self._connection.sleep(max(0.0, seconds))

    def close(self) -> None:
        """Close the connection if it is still open."""
        if self._connection.is_open:
            self._connection.close()

    def _connect(self) -> None:
        self._connection = pika.BlockingConnection(self._parameters)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def _reconnect(self) -> None:
        self.close()
        while not self._connection.is_open:
            time.sleep(RETRY_SECONDS)
            with contextlib.suppress(*NO_CONNECTION):
                self._connect()


def send(
    producer: Producer, signals: Iterable[dict[str, object]], rate: float | None, progress: Progress
) -> Counter[str]:
    """Publish the signals at `rate` per second (None: as fast as possible); return how many of each type were confirmed."""
    confirmed: Counter[str] = Counter()
    bars = progress.task_ids
    start = time.monotonic()
    try:
        for number, signal in enumerate(signals):
            if rate:
                producer.wait(start + number / rate - time.monotonic())
            producer.publish(signal)
            confirmed["PREMIUM" if float(str(signal["confidence"])) >= PREMIUM_FROM else "STANDARD"] += 1
            for bar in bars:
                progress.advance(bar)
    except KeyboardInterrupt:
        pass  # Ctrl-C ends an endless run; what was confirmed is still told
    return confirmed


def amqp_url(environ: Mapping[str, str], env_file: Path) -> str:
    """Return the broker's URL from the environment, else from the file that `make up` wrote."""
    if url := environ.get("AMQP_URL"):
        return url
    lines = env_file.read_text().splitlines() if env_file.exists() else []
    for line in lines:
        if line.startswith("AMQP_URL="):
            return shlex.split(line.partition("=")[2])[0]
    raise SystemExit(f"demo: set AMQP_URL, or start Tiercast with `make up` (there is no {env_file})")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5.0, help="signals per second (default 5)")
    parser.add_argument("--as-fast-as-possible", action="store_true", help="do not wait between signals")
    parser.add_argument("--count", type=int, help="stop after this many (default: all crossings once)")
    parser.add_argument("--loop", action="store_true", help="start over at the end, until --count or Ctrl-C")
    parser.add_argument("--run", default=f"{time.time():.0f}", help="part of each signal id (default: the time)")
    parser.add_argument("--env-file", type=Path, default=Path(".data/dev.env"))
    return parser.parse_args()


def main() -> int:
    """Publish, and say what was confirmed."""
    for number in (SIGINT, SIGTERM):
        on_signal(number, default_int_handler)  # a shell's background job would ignore SIGINT
    chosen = options()
    found = crossings(prices())
    total = chosen.count if chosen.loop or chosen.count else len(found)
    replay = itertools.islice(itertools.cycle(found) if chosen.loop else found, total)
    signals = (
        submission(crossing, f"demo-{chosen.run}-{number}", datetime.now(UTC))
        for number, crossing in enumerate(replay, 1)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        producer = Producer(amqp_url(os.environ, chosen.env_file))
    except NO_CONNECTION as error:
        raise SystemExit(f"demo: the broker cannot be reached: {error!r}; is `make up` running?") from error
    try:
        with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
            progress.add_task("publishing", total=total)
            confirmed = send(producer, signals, None if chosen.as_fast_as_possible else chosen.rate, progress)
    except (ChannelClosedByBroker, UnroutableError) as error:
        raise SystemExit(f"demo: the broker refuses: {error}; is ingest running?") from error
    finally:
        producer.close()
    sent = sum(confirmed.values())
    print(f"{sent} signals confirmed: {confirmed['PREMIUM']} PREMIUM, {confirmed['STANDARD']} STANDARD")
    return 0


if __name__ == "__main__":
    sys.exit(main())
