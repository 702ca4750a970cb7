"""Reads the fields of one submission and collects everything that is wrong with them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import TypeVar, cast

from tiercast_ingest.domain.reasons import INVALID_FIELD
from tiercast_ingest.domain.strict_json import Number, quoted
from tiercast_shared.errors import FieldError, Rejected

Value = TypeVar("Value")


MAX_NUMBER_TEXT = 100
"""Characters of a number; a float needs at most 24, a decimal of the finest market a few more."""

MAX_MOMENT = 40
SURROGATE = re.compile("[\ud800-\udfff]")
ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


class Fields:
    """The fields of one JSON object. Each method returns a usable value, or notes what is wrong and returns None.

    `null` counts as absent. Several names are names for one field, and must not be given different values.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.errors: list[FieldError] = []

    def require_all_valid(self) -> None:
        """Refuse the submission if anything was noted.

        Raises:
            Rejected: a 422 that names every wrong field.
        """
        if self.errors:
            message = "; ".join(f"{error.field}: {error.message}" for error in self.errors)
            raise Rejected(422, INVALID_FIELD, message, tuple(self.errors))

    def wrong(self, name: str, message: str) -> None:
        """Note an error."""
        self.errors.append(FieldError(name, message))

    def required(self, value: Value | None, *names: str) -> Value:
        """`value`, noting when it is absent; only good for use after `require_all_valid`."""
        if value is None and all(self._values.get(name) is None for name in names):
            self.wrong(names[0], "is required")
        return cast("Value", value)

    def text(self, *names: str, longest: int, shortest: int = 1) -> str | None:
        """Text of `shortest` to `longest` characters that any database and any client can hold."""
        name, value = self._one_of(names)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "must be text")
        elif not shortest <= len(value) <= longest:
            self.wrong(name, f"must have {shortest} to {longest} characters, has {len(value)}")
        elif "\0" in value:
            self.wrong(name, "contains U+0000")
        elif not value.isascii() and SURROGATE.search(value):
            self.wrong(name, "contains half of a surrogate pair")
        else:
            return value
        return None

    def number(self, *names: str) -> Number | None:
        """A finite number."""
        name, value = self._one_of(names)
        if value is None:
            return None
        if not isinstance(value, Number):
            self.wrong(name, "must be a number")
        elif len(value.text) > MAX_NUMBER_TEXT:
            self.wrong(name, f"has more than {MAX_NUMBER_TEXT} characters")
        elif not isfinite(value):
            self.wrong(name, "is too large a number")
        else:
            return value
        return None

    def price(self, *names: str) -> Number | None:
        """A number above zero."""
        value = self.number(*names)
        if value is not None and value <= 0:
            self.wrong(self._given(names), "must be greater than 0")
        return value

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 date and time, in UTC; without a zone it was UTC already."""
        value = self.text(name, longest=MAX_MOMENT)
        if value is None:
            return None
        try:
            if ISO_8601.fullmatch(value):
                given = datetime.fromisoformat(value)
                return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a month 13, or a moment that UTC has no year for
        self.wrong(name, f"{quoted(value)} is not an ISO 8601 date and time")
        return None

    def _given(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if self._values.get(name) is not None), names[0])

    def _one_of(self, names: tuple[str, ...]) -> tuple[str, object]:
        if len(names) == 1:
            return names[0], self._values.get(names[0])
        name = self._given(names)
        value = self._values.get(name)
        for other in names:
            rival = self._values.get(other)
            if rival is not None and (rival != value or type(rival) is not type(value)):
                self.wrong(other, f"differs from {name}, which is another name for it")
        return name, value
