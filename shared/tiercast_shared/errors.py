"""The exceptions that cross module borders.

TiercastError
├── Rejected            what was sent is wrong, and repeating it does not help
└── Unavailable         it cannot be done now; repeating it later is right
    └── StorageUnavailable   the database is away, or the outcome of a commit is unknown
"""

from dataclasses import dataclass
from typing import Self


class TiercastError(Exception):
    """Root of the project's exceptions."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, and why."""

    field: str
    message: str


class Rejected(TiercastError):
    """Bad input: `status` is the HTTP answer, `code` a stable word for machines, `fields` the wrong ones."""

    def __init__(self, status: int, code: str, message: str, fields: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields

    @classmethod
    def field(cls, name: str, message: str, *, code: str = "invalid_field") -> Self:
        """A 422 for one field."""
        return cls(422, code, f"{name}: {message}", (FieldError(name, message),))


class Unavailable(TiercastError):
    """Cannot be done now. `retry_after` is in seconds; `status` and `code` are those of the HTTP answer."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class StorageUnavailable(Unavailable):
    """The database did not answer, or the outcome of a commit is unknown. Repeating is safe: submissions are idempotent."""


def reasons(error: BaseException) -> str:
    """What went wrong, in one line; of an exception group, everything in it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(reasons(part) for part in error.exceptions)
    return f"{type(error).__name__}: {error}".removesuffix(": ")
