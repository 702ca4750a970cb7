"""From the bytes that a producer sent to a submission that is right in every field, whatever the transport."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from tiercast_ingest.domain import strict_json
from tiercast_ingest.domain.content import DEFAULT_STRATEGY, SignalContent
from tiercast_ingest.domain.fields import Fields
from tiercast_ingest.domain.reasons import INVALID_JSON, TOO_LARGE
from tiercast_ingest.domain.signal_hash import HashedFields, matching_text
from tiercast_ingest.domain.strict_json import Number
from tiercast_shared.errors import Rejected

MAX_BODY = 64 * 1024
"""Bytes of one submission."""

MAX_SIGNAL_ID = 200
MAX_TEXT = 100
MAX_REASONING = 10_000
MAX_SOURCES = 1_000_000

SYMBOL = re.compile(r"[A-Za-z0-9./_:^=-]{1,20}")
SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class SubmittedSignal(NamedTuple):
    """A submission in which everything is right."""

    content: SignalContent
    hash: str
    hashed_text: str
    """The text whose SHA-256 is `hash`."""


def parse(body: bytes) -> SubmittedSignal:
    """Read one submission.

    Raises:
        Rejected: 422 with every wrong field named, 400 for a wrong hash, 413 for more than `MAX_BODY` bytes.
    """
    if len(body) > MAX_BODY:
        raise Rejected(413, TOO_LARGE, f"the body has {len(body)} bytes, more than {MAX_BODY}")
    return from_json(strict_json.read(body))


def from_json(value: object) -> SubmittedSignal:
    """Like `parse`, for a value that `strict_json.read` gave."""
    if isinstance(value, strict_json.Flawed):
        raise value.reason
    if not isinstance(value, dict):
        raise Rejected.field("body", "must be a JSON object", code=INVALID_JSON)
    return _from_fields(Fields(value), value)


def _from_fields(fields: Fields, sent: Mapping[str, object]) -> SubmittedSignal:
    hashed = HashedFields(
        signal_id=fields.required(fields.text("signal_id", longest=MAX_SIGNAL_ID), "signal_id"),
        symbol=fields.required(_symbol(fields), "symbol"),
        action=fields.required(_action(fields), "action"),
        entry_price=fields.required(fields.price("entry_price"), "entry_price"),
        target_price=fields.price("target_price", "take_profit"),
        stop_price=fields.price("stop_price", "stop_loss"),
        confidence=fields.required(_confidence(fields), "confidence"),
        strategy=fields.text("strategy", longest=MAX_TEXT) or DEFAULT_STRATEGY,
        timestamp=str(sent.get("timestamp")),
    )
    timestamp = fields.required(fields.moment("timestamp"), "timestamp")
    asset_type = fields.text("asset_type", longest=MAX_TEXT)
    data_source = fields.text("data_source", longest=MAX_TEXT)
    regime = fields.text("regime", longest=MAX_TEXT, shortest=0)
    reasoning = fields.text("reasoning", longest=MAX_REASONING, shortest=0)
    consensus_agreement = fields.number("consensus_agreement")
    sources_count = _sources_count(fields)
    valid_until = fields.moment("valid_until")
    claimed = fields.required(_claimed_hash(fields), "sha256", "verification_hash")
    fields.require_all_valid()
    content = SignalContent(
        signal_id=hashed.signal_id,
        symbol=hashed.symbol.upper(),
        action=hashed.action,
        entry_price=float(hashed.entry_price),
        stop_loss=_plain(hashed.stop_price),
        take_profit=_plain(hashed.target_price),
        confidence=hashed.confidence + 0.0,
        timestamp=_utc(timestamp),
        reasoning=reasoning,
        strategy=hashed.strategy if sent.get("strategy") is not None else None,
        asset_type=asset_type,
        data_source=data_source,
        regime=regime,
        consensus_agreement=_plain(consensus_agreement),
        sources_count=sources_count,
        valid_until=_utc(valid_until) if valid_until else None,
    )
    return SubmittedSignal(content, claimed, matching_text(hashed, claimed))


def _symbol(fields: Fields) -> str | None:
    symbol = fields.text("symbol", longest=20)
    if symbol is not None and not SYMBOL.fullmatch(symbol):
        fields.wrong("symbol", "may hold only letters, digits and . / - _ : ^ =")
    return symbol


def _action(fields: Fields) -> str | None:
    action = fields.text("action", longest=MAX_TEXT)
    if action not in {None, "BUY", "SELL"}:
        fields.wrong("action", "must be BUY or SELL")
    return action


def _confidence(fields: Fields) -> Number | None:
    confidence = fields.number("confidence")
    if confidence is not None and not 0 <= confidence <= 100:
        fields.wrong("confidence", "must be between 0 and 100")
    return confidence


def _sources_count(fields: Fields) -> int | None:
    count = fields.number("sources_count")
    if count is None:
        return None
    if not count.is_integer() or not 0 <= count <= MAX_SOURCES:
        fields.wrong("sources_count", f"must be an integer between 0 and {MAX_SOURCES}")
    return int(count)


def _claimed_hash(fields: Fields) -> str | None:
    claimed = fields.text("sha256", "verification_hash", longest=MAX_TEXT)
    if claimed is None:
        return None
    if not SHA256_HEX.fullmatch(claimed.lower()):
        fields.wrong("sha256", "must be 64 hexadecimal digits")
    return claimed.lower()


def _plain(number: Number | None) -> float | None:
    return None if number is None else number + 0.0  # a plain float, and never -0.0


def _utc(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat() + "Z"
