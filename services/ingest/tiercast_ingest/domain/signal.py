"""A signal on the wire: classified, named and rendered once; every later hand passes on these bytes."""

import orjson

from tiercast_ingest.domain.submission import SubmittedSignal
from tiercast_shared.contracts.signals import PREMIUM_CONFIDENCE, Feed, SignalType


def signal_type(confidence: float) -> SignalType:
    """Whether a signal of this confidence (0–100) is premium."""
    return SignalType.PREMIUM if confidence >= PREMIUM_CONFIDENCE else SignalType.STANDARD


def smallest_feed(kind: SignalType) -> Feed:
    """The feed with the widest audience that carries signals of this type."""
    return Feed.ALL if kind is SignalType.PREMIUM else Feed.STANDARD


def render(submitted: SubmittedSignal, *, wire_id: str, kind: SignalType, server_timestamp: float) -> bytes:
    """The body of `signals.events`: `orjson.dumps(orjson.loads(body)) == body`.

    Always present are the fields that every signal has, null if they have no value; the others only when the producer sent them.
    """
    content = submitted.content
    optional = {
        "strategy": content.strategy,
        "asset_type": content.asset_type,
        "data_source": content.data_source,
        "regime": content.regime,
        "consensus_agreement": content.consensus_agreement,
        "sources_count": content.sources_count,
        "valid_until": content.valid_until,
    }
    return orjson.dumps(
        {
            "id": wire_id,
            "symbol": content.symbol,
            "action": content.action,
            "entry_price": content.entry_price,
            "stop_loss": content.stop_loss,
            "take_profit": content.take_profit,
            "confidence": content.confidence,
            "type": kind.value,
            "timestamp": content.timestamp,
            "hash": submitted.hash,
            "reasoning": content.reasoning,
            "server_timestamp": server_timestamp,
            **{name: value for name, value in optional.items() if value is not None},
        }
    )
