"""Makes the AMQP decoder survive properties that no decoder can read.

A broker passes a message's properties on as the publisher wrote them. pamqp raises on a short string that is not UTF-8, or a
timestamp beyond the year 9999, and aiormq then gives the channel up: one such message, redelivered for ever, would block its
queue. So what cannot be read is read as something harmless, and whoever handles the message can judge it.
"""

from datetime import datetime

from pamqp import decode
from pamqp.common import FieldTable


def short_string(value: bytes) -> tuple[int, str]:
    """A short string; bytes that are not UTF-8 appear as escapes."""
    end = 1 + value[0]
    return end, value[1:end].decode(errors="backslashreplace")


def timestamp(value: bytes) -> tuple[int, datetime | None]:
    """A timestamp; None if no calendar has it."""
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError, OSError):
        return 8, None


def table(value: bytes) -> tuple[int, FieldTable]:
    """A table; empty if anything in it cannot be read."""
    try:
        return decode.field_table(value)
    except (ValueError, OverflowError, OSError, ArithmeticError, RecursionError):
        return 4 + int.from_bytes(value[:4]), {}


def install() -> None:
    """Use these from now on, in the whole process."""
    decode.METHODS.update({"shortstr": short_string, "timestamp": timestamp, "table": table})
