"""The demo's signals are made from real prices and accepted by the protocol's rules."""

import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

import demo_producer
from tests.support.producers import signed

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_prices_are_those_of_five_real_stocks() -> None:
    series = demo_producer.prices()

    assert sorted(series) == ["AAPL", "AMZN", "GOOG", "IBM", "MSFT"]
    assert series["MSFT"][0] == (datetime(2000, 1, 1, tzinfo=UTC), 39.81)
    assert all(history == sorted(history) for history in series.values())


def test_a_crossing_is_found_where_the_short_average_passes_the_long_one() -> None:
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 8)]
    history = list(zip(months, [10.0, 10.0, 9.0, 8.0, 12.0, 13.0, 6.0], strict=True))

    found = [crossing for crossing in demo_producer.crossings({"X": history}) if crossing.strategy == "sma_1_3"]

    assert [(crossing.month.month, crossing.action) for crossing in found] == [(5, "BUY"), (7, "SELL")]
    assert found[0].move == pytest.approx(0.5)
    assert found[0].confidence == 99.0


def test_both_types_of_signal_occur_often() -> None:
    found = demo_producer.crossings(demo_producer.prices())
    premium = sum(crossing.confidence >= 85 for crossing in found)

    assert len(found) > 300
    assert 0.2 < premium / len(found) < 0.5
    assert set(Counter(crossing.action for crossing in found)) == {"BUY", "SELL"}


def test_every_signal_is_valid_and_carries_the_right_hash() -> None:
    for number, crossing in enumerate(demo_producer.crossings(demo_producer.prices())):
        signal = demo_producer.submission(crossing, f"demo-1-{number}", NOW)
        assert signal == signed(signal)
        target, entry, stop = (float(str(signal[name])) for name in ("target_price", "entry_price", "stop_price"))
        assert all(math.isfinite(price) and price > 0 for price in (target, entry, stop))
        assert (target > entry > stop) == (signal["action"] == "BUY")


def test_the_broker_is_that_of_the_environment_else_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "dev.env"
    file.write_text("A=1\nAMQP_URL='amqp://a:b@c/'\n")

    assert demo_producer.amqp_url({"AMQP_URL": "amqp://told/"}, file) == "amqp://told/"
    assert demo_producer.amqp_url({}, file) == "amqp://a:b@c/"
    with pytest.raises(SystemExit, match="make up"):
        demo_producer.amqp_url({}, tmp_path / "absent")
