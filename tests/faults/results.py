"""What one trial measured, and where it is kept: `.data/faults/<form>/<row>-<line>-<seed>.json`."""

import hashlib
import json
import re
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".data" / "faults"
SOURCES = ("shared/tiercast_shared", "services/*/tiercast_*", "tests/faults")
NO_PART = frozenset({"neighbours.py", "report.py", "rows.py", "run.py", "suites.py"})
"""Of the harness, what changes no trial."""


@dataclass
class Count:
    """How often something happened, out of how many opportunities."""

    count: int
    of: int
    unit: str


@dataclass
class Result:
    """One trial of one line of the table."""

    row: int
    line: str
    """What was done, when a row has several faults; else empty."""
    seed: int
    form: str
    """`short` or `long`."""
    code: str
    """Digest of the sources it ran on."""
    passed: bool = False
    problem: str = ""
    skipped: str = ""
    """Why it could not be run here."""
    counts: dict[str, Count] = field(default_factory=dict)
    """What must be zero."""
    tallies: dict[str, int] = field(default_factory=dict)
    """How much was done and seen."""
    timings: dict[str, list[float]] = field(default_factory=dict)
    """Samples, in the unit that the name ends with."""
    targets: dict[str, float] = field(default_factory=dict)
    """The most that is wanted of a timing, in the same unit."""
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    finished: str = ""
    """UTC, ISO 8601."""
    seconds: float = 0.0
    commit: str = ""

    @property
    def path(self) -> Path:
        line = re.sub(r"[^a-z0-9]+", "-", self.line.lower()).strip("-") or "all"
        return RESULTS / self.form / f"{self.row:02}-{line}-{self.seed}.json"

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False))

    def done_before(self) -> bool:
        """Whether this very trial has passed on these very sources."""
        if not self.path.exists():
            return False
        earlier = load(self.path)
        return earlier.passed and earlier.code == self.code


def load(path: Path) -> Result:
    """Read a result."""
    values = json.loads(path.read_text())
    counts = {name: Count(**count) for name, count in values.pop("counts").items()}
    return Result(counts=counts, **values)


def saved(form: str) -> list[Result]:
    """All kept results of a form."""
    return [load(path) for path in sorted((RESULTS / form).glob("*.json"))]


def code_digest(*tests: Path) -> str:
    """A digest of the services' sources, of the harness, and of these tests."""
    digest = hashlib.sha256()
    files = sorted(path for pattern in SOURCES for top in ROOT.glob(pattern) for path in top.rglob("*.py"))
    shared = [file for file in files if not file.name.startswith("test_") and file.name not in NO_PART]
    for file in [*shared, *tests]:
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def commit() -> str:
    """The commit checked out, with a `+` when files differ from it, other than the documents that are written here."""
    try:
        return _git("describe", "--always") + "+" * bool(_git("status", "--porcelain", "-uno", "--", ".", ":!docs"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
