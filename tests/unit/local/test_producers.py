"""The tests' own producer follows the protocol's rules for hashes."""

import hashlib

from tests.support.producers import hashed_text, premium, standard, submission


def test_the_hashed_text_is_that_of_the_protocol() -> None:
    given = {
        "signal_id": "s-1",
        "symbol": "MÜV2",
        "action": "BUY",
        "entry_price": 175,
        "confidence": 87.0,
        "take_profit": 1e-7,
        "timestamp": "2026-01-02T03:04:05+00:00",
        "reasoning": "not hashed",
    }

    assert hashed_text(given) == (
        '{"action": "BUY", "confidence": 87.0, "entry_price": 175, "signal_id": "s-1", "stop_price": null, '
        '"strategy": "weighted_consensus_v6", "symbol": "M\\u00dcV2", "target_price": 1e-07, '
        '"timestamp": "2026-01-02T03:04:05+00:00"}'
    )


def test_each_submission_is_another_one_and_carries_its_hash() -> None:
    one, other = standard(), premium(symbol="BTC/USD", target_price=None)

    assert one["signal_id"] != other["signal_id"]
    assert other["sha256"] == hashlib.sha256(hashed_text(other).encode()).hexdigest()
    assert "target_price" not in other
    assert submission(confidence=1)["confidence"] == 1
