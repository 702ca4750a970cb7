"""The producer's SHA-256, which proves that what arrived is what was meant.

It is taken over a JSON object as Python's `json.dumps(…, sort_keys=True)` writes it. Other languages write numbers differently, so
a number counts as it stands in the body (`87.0`, `175`, `1e-7`) or as Python writes that float (`87.0`, `175.0`, `1e-07`).
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import chain, product
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from tiercast_ingest.domain.reasons import HASH_MISMATCH
from tiercast_ingest.domain.strict_json import Number
from tiercast_shared.errors import FieldError, Rejected


class HashedFields(NamedTuple):
    """What the hash covers, as the producer sent it, defaults filled in."""

    signal_id: str
    symbol: str
    action: str
    entry_price: Number
    target_price: Number | None
    stop_price: Number | None
    confidence: Number
    strategy: str
    timestamp: str


def matching_text(fields: HashedFields, claimed: str) -> str:
    """The text whose SHA-256 is `claimed` (64 hex digits in lower case).

    Raises:
        Rejected: 400, with the text that was expected to be hashed.
    """
    for text in possible_texts(fields):
        if sha256(text.encode()).hexdigest() == claimed:
            return text
    expected = next(possible_texts(fields))
    message = f"is not the SHA-256 of {expected}"
    raise Rejected(400, HASH_MISMATCH, f"sha256: {message}", (FieldError("sha256", message),))


def possible_texts(fields: HashedFields) -> Iterator[str]:
    """Every text that may have been hashed, the likely ones first."""
    numbers = (fields.confidence, fields.entry_price, fields.stop_price, fields.target_price)
    as_sent = tuple("null" if number is None else number.text for number in numbers)
    yield _json(fields, fields.symbol, as_sent)
    as_python = tuple("null" if number is None else float.__repr__(number) for number in numbers)
    for symbol in dict.fromkeys((fields.symbol, fields.symbol.upper())):
        for texts in chain((as_sent, as_python), product(*zip(as_sent, as_python, strict=True))):
            yield _json(fields, symbol, texts)


def _json(fields: HashedFields, symbol: str, numbers: tuple[str, ...]) -> str:
    confidence, entry_price, stop_price, target_price = numbers
    text = encode_basestring_ascii
    return (
        f'{{"action": {text(fields.action)}, "confidence": {confidence}, "entry_price": {entry_price}, '
        f'"signal_id": {text(fields.signal_id)}, "stop_price": {stop_price}, "strategy": {text(fields.strategy)}, '
        f'"symbol": {text(symbol)}, "target_price": {target_price}, "timestamp": {text(fields.timestamp)}}}'
    )
