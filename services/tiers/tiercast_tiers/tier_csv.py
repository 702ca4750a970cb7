"""Reads the CSV files of `tiercast-tiers import`: a header `user_id,tier[,reason]`, then a line for each user."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from tiercast_shared.contracts.tiers import Tier, UserId
from tiercast_tiers.api_models import Reason

COLUMNS = ("user_id", "tier", "reason")
IMPORTED = "imported"

SHOWN_PROBLEMS = 20


class Line(BaseModel):
    """A user and the tier that they are to have."""

    model_config = ConfigDict(extra="forbid")

    user_id: UserId
    tier: Tier
    reason: Reason = IMPORTED


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file says, and what is wrong with it, a sentence each that begins with the line's number."""

    lines: Sequence[Line]
    problems: Sequence[str]

    def complaint(self) -> str:
        """All that is wrong, if it is not too much."""
        more = len(self.problems) - SHOWN_PROBLEMS
        shown = [*self.problems[:SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
        return "\n".join(["nothing was imported:", *shown])


def read_sheet(text: Iterable[str]) -> Sheet:
    """Read a file's lines, all of them before anything is done with the first."""
    lines: list[Line] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
        if problem := _header_problem(header):
            return Sheet([], [f"line 1: {problem}"])
        for cells in reader:
            number = reader.line_num
            try:
                line = _line(header, cells)
            except ValueError as error:
                problems += [f"line {number}: {problem}" for problem in _told(error)]
                continue
            if line.user_id in seen:
                problems.append(f"line {number}: {line.user_id} was named in line {seen[line.user_id]} already")
            seen[line.user_id] = number
            lines.append(line)
    except (csv.Error, UnicodeError) as error:
        problems.append(f"line {reader.line_num + 1}: {error}")
    return Sheet(lines, problems)


def _header_problem(header: Sequence[str]) -> str | None:
    if len(set(header)) == len(header) and {"user_id", "tier"} <= set(header) <= set(COLUMNS):
        return None
    return f"the header must be user_id,tier or user_id,tier,reason, not {','.join(header)[:100]!r}"


def _line(header: Sequence[str], cells: Sequence[str]) -> Line:
    if len(cells) != len(header):
        raise ValueError(f"has {len(cells)} cells where the header has {len(header)}")
    named = dict(zip(header, cells, strict=True))
    if not named.get("reason"):
        named["reason"] = IMPORTED
    return Line.model_validate(named)


def _told(error: ValueError) -> Iterator[str]:
    if not isinstance(error, ValidationError):
        yield str(error)
        return
    for problem in error.errors():
        yield f"{problem['loc'][0]}: {problem['msg']}"
