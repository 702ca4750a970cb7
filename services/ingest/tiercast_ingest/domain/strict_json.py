"""JSON read strictly, each number with the text it was written in.

Python's reader takes `NaN`, keeps the last of two equal keys and forgets how a number was written. Here the first two are refused
and the third is kept, because a producer's hash covers the text.
"""

import json
from typing import NoReturn, Self

from tiercast_ingest.domain.reasons import INVALID_JSON
from tiercast_shared.errors import Rejected

MAX_QUOTED = 60
"""Characters of the sender's own text that a message repeats."""


class Number(float):
    """A number and its text. `int` and `float` are not told apart, as JSON does not."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Read `text`; what is too large for a float becomes infinite."""
        number = super().__new__(cls, text)
        number.text = text
        return number


class Flawed:
    """An object that is well-formed enough to go on reading, and must itself be refused."""

    __slots__ = ("reason",)

    def __init__(self, reason: Rejected) -> None:
        self.reason = reason


class _NotANumber:
    """What stands for `NaN`, `Infinity` or `-Infinity` until the field that holds it is known."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def read(body: bytes) -> object:
    """The value in `body`: dict, list, str, `Number`, bool or None, with `Flawed` in place of objects to refuse.

    Raises:
        Rejected: `body` is not UTF-8, not JSON, or nested too deeply.
    """
    try:
        value: object = _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8 at byte {error.start}", error)
    except RecursionError as error:
        _refuse("nested too deeply", error)
    except ValueError as error:
        _refuse(f"not JSON: {error}", error)
    if isinstance(value, _NotANumber):
        _refuse(f"{value.text} is not JSON", None)
    return value


def quoted(text: str) -> str:
    """`text` as a message may repeat it: short, and printable whatever is in it."""
    return json.dumps(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "…")


def _refuse(why: str, cause: Exception | None) -> NoReturn:
    raise Rejected.field("body", why, code=INVALID_JSON) from cause


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | Flawed:
    for key, value in pairs:
        if isinstance(value, Flawed):
            return value
        if isinstance(value, _NotANumber):
            return Flawed(Rejected.field(quoted(key)[1:-1], f"{value.text} is not JSON", code=INVALID_JSON))
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else Flawed(_twice(pairs))


def _twice(pairs: list[tuple[str, object]]) -> Rejected:
    seen: set[str] = set()
    name = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return Rejected.field(quoted(name)[1:-1], "is given twice", code=INVALID_JSON)


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_NotANumber, object_pairs_hook=_object)
