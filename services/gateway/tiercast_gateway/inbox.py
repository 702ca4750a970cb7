"""What clients say on the socket: parsing, and the symbol filter."""

import re
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from tiercast_gateway.audience import Symbols
from tiercast_shared.contracts.frames import ClientAuth, ClientFrame, ClientPing, ClientSubscribe

SYMBOL: Final = re.compile(r"[A-Z0-9./_:^=-]{1,20}")
"""What ingest accepts, in upper case: `BTC/USD`, `BRK.B`, `^GSPC`."""

MAX_SYMBOLS = 500
EVERYTHING = "*"
MAX_PROBLEM = 200
"""Characters of an answer: what is wrong is quoted, but not at any length."""

_FRAME: TypeAdapter[ClientPing | ClientAuth | ClientSubscribe] = TypeAdapter(ClientFrame)


class BadMessage(ValueError):
    """A client's message that means nothing; its text is the answer."""


def parse(payload: str | bytes) -> ClientPing | ClientAuth | ClientSubscribe:
    """Understand one message.

    Raises:
        BadMessage: with the field that is wrong.
    """
    try:
        return _FRAME.validate_python(orjson.loads(payload))
    except orjson.JSONDecodeError:
        raise BadMessage("not a JSON object") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "message"
        raise BadMessage(f"{name}: {first['msg']}"[:MAX_PROBLEM]) from None


def parse_symbols(names: list[str]) -> Symbols | None:
    """A filter from the names a client gave; None is everything.

    Raises:
        BadMessage: with the name that is wrong.
    """
    if EVERYTHING in names:
        return None
    symbols = frozenset(name.strip().upper() for name in names)
    for symbol in symbols:
        if not SYMBOL.fullmatch(symbol):
            raise BadMessage(f"symbols: {symbol[:40]!r} is no symbol")
    return _bounded(symbols)


def added(present: Symbols | None, names: list[str]) -> Symbols | None:
    """The filter after `subscribe`: the first one narrows everything down, later ones add."""
    wanted = parse_symbols(names)
    return wanted if wanted is None or present is None else _bounded(present | wanted)


def removed(present: Symbols | None, names: list[str]) -> Symbols:
    """The filter after `unsubscribe`.

    Raises:
        BadMessage: single symbols cannot be taken from everything.
    """
    unwanted = parse_symbols(names)
    if unwanted is None:
        return frozenset()
    if present is None:
        raise BadMessage("symbols: the filter is everything; subscribe to what you want instead")
    return present - unwanted


def _bounded(symbols: Symbols) -> Symbols:
    if len(symbols) > MAX_SYMBOLS:
        raise BadMessage(f"symbols: more than {MAX_SYMBOLS}")
    return symbols
