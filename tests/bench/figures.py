"""What a benchmark found: figures beside their floor or peer, printed as a table and kept as JSON."""

import json
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.machine import describe_machine

RESULTS = Path(__file__).resolve().parents[2] / ".data" / "bench"
LIBRARIES = (
    "fastapi",
    "uvicorn",
    "uvloop",
    "picows",
    "aio-pika",
    "aiormq",
    "sqlalchemy",
    "asyncpg",
    "aiosqlite",
    "pydantic",
)


@dataclass
class Figure:
    """One figure of the table of targets, or one beside it."""

    name: str
    unit: str
    values: list[float]
    """One for each repetition."""
    row: int | None = None
    """Its row in the table of targets."""
    beside: str = ""
    """What was measured in the same run to compare with: a floor, or a peer."""
    beside_values: list[float] = field(default_factory=list)
    """One for each repetition, measured next to it."""
    target: str = ""
    met: bool | None = None

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)

    @property
    def ratios(self) -> list[float]:
        """Of each repetition to what was measured beside it."""
        return [value / floor for value, floor in zip(self.values, self.beside_values, strict=False) if floor]

    @property
    def ratio(self) -> float | None:
        """Median of the ratios; None with nothing beside."""
        return statistics.median(self.ratios) if self.ratios else None


def figure_of(values: Mapping[str, Any]) -> Figure:
    """A figure as `report` has kept it."""
    return Figure(**{name: value for name, value in values.items() if name not in {"median", "ratio"}})


def spread(values: Sequence[float]) -> str:
    """Median, with least and greatest of several."""
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))}–{number(max(values))})"


def number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.{1 if abs(value) >= 10 else 2}f}"


def table(figures: Sequence[Figure]) -> str:
    """Plain text for the terminal."""
    rows = [["row", "figure", "measured", "unit", "beside", "ratio", "target", ""]]
    for figure in figures:
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        beside = f"{figure.beside} {spread(figure.beside_values)}" if figure.beside_values else figure.beside
        ratio = spread(figure.ratios) if figure.ratios else ""
        row = str(figure.row or "")
        rows.append([row, figure.name, spread(figure.values), figure.unit, beside, ratio, figure.target, verdict])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def commit() -> str:
    """The commit that was measured; empty outside a clone."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=RESULTS.parents[1]
    )
    return done.stdout.strip()


def report(
    bench: str,
    figures: Sequence[Figure],
    *,
    options: Mapping[str, Any] | None = None,
    series: Mapping[str, Any] | None = None,
) -> None:
    """Print the figures and keep them under `.data/bench/`."""
    print(f"\n{bench}\n{table(figures)}\n", flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {
        "bench": bench,
        "machine": describe_machine(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "options": dict(options or {}),
        "figures": [asdict(each) | {"median": each.median, "ratio": each.ratio} for each in figures],
        "series": dict(series or {}),
    }
    (RESULTS / f"{bench}.json").write_text(json.dumps(result, indent=1, default=str))
