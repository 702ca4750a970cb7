"""What a signal says, normalised: numbers are floats, times are UTC, the symbol is in upper case."""

from hashlib import sha256
from typing import NamedTuple

import orjson

DEFAULT_STRATEGY = "weighted_consensus_v6"
DEFAULT_ASSET_TYPE = "stock"
DEFAULT_DATA_SOURCE = "weighted_consensus"


class SignalContent(NamedTuple):
    """A signal as its producer means it. What was left out is None, also where it has a default."""

    signal_id: str
    symbol: str
    action: str
    entry_price: float
    stop_loss: float | None
    take_profit: float | None
    confidence: float
    timestamp: str
    reasoning: str | None
    strategy: str | None
    asset_type: str | None
    data_source: str | None
    regime: str | None
    consensus_agreement: float | None
    sources_count: int | None
    valid_until: str | None

    def fingerprint(self) -> bytes:
        """32 bytes, equal for contents that mean the same, however their numbers, times and defaults were written."""
        defaults = (
            self.strategy or DEFAULT_STRATEGY,
            self.asset_type or DEFAULT_ASSET_TYPE,
            self.data_source or DEFAULT_DATA_SOURCE,
        )
        means = (
            self.signal_id,
            self.symbol,
            self.action,
            self.entry_price,
            self.stop_loss,
            self.take_profit,
            self.confidence,
            self.timestamp,
            self.reasoning,
            self.regime,
            self.consensus_agreement,
            self.sources_count,
            self.valid_until,
        )
        return sha256(orjson.dumps(means + defaults)).digest()
