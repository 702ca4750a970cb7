"""The rows of the table that suites of their own prove: run here, counted, and kept in `.data/faults/suites/<row>.json`."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.faults.results import RESULTS, ROOT, code_digest, commit

KEPT = RESULTS / "suites"


@dataclass
class SuiteResult:
    """What one run of a suite came to."""

    row: int
    files: list[str]
    code: str
    """Digest of the services' sources and of the suite."""
    commit: str
    tests: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    properties: dict[str, int] = field(default_factory=dict)
    """Sums of the whole numbers that its tests recorded with `record_property`."""
    finished: str = ""
    """UTC, ISO 8601."""

    @property
    def passed(self) -> bool:
        return self.tests > 0 and not self.failed


def _named(*paths: str) -> Callable[[], list[Path]]:
    return lambda: [ROOT / path for path in paths if (ROOT / path).exists()]


def _using(module: str) -> Callable[[], list[Path]]:
    """Files of tests that import `module`."""
    return lambda: [
        path for path in sorted((ROOT / "tests").rglob("test_*.py")) if f"import {module}" in path.read_text()
    ]


SUITES: dict[int, Callable[[], list[Path]]] = {
    15: _named("tests/integration/gateway/test_rfc6455.py"),
    16: _using("schemathesis"),
    17: _named("tests/simulation"),
}


def kept(row: int) -> SuiteResult | None:
    """The last run."""
    path = KEPT / f"{row}.json"
    return SuiteResult(**json.loads(path.read_text())) if path.exists() else None


def run(row: int, *, fresh: bool) -> bool:
    """Run a row's suite, unless it has passed on the same sources; returns whether it passed."""
    files = SUITES[row]()
    code = code_digest(*_sources(files))
    before = kept(row)
    if before is not None and before.passed and before.code == code and not fresh:
        print(f"row {row}: passed before on the same sources")
        return True
    result = SuiteResult(row, [str(path.relative_to(ROOT)) for path in files], code, commit())
    began = time.monotonic()
    KEPT.mkdir(parents=True, exist_ok=True)
    report = KEPT / f"{row}.xml"
    report.unlink(missing_ok=True)
    print(f"row {row}: {', '.join(result.files) or 'there is no suite'}", flush=True)
    if files:
        environment = {name: value for name, value in os.environ.items() if name not in {"FAULT_FORM", "ROW"}}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "--dist",
            "loadfile",
            f"--junitxml={report}",
            *result.files,
        ]
        subprocess.run(command, cwd=ROOT, env=environment, check=False)
    _count(report, result)
    result.seconds = round(time.monotonic() - began, 1)
    result.finished = datetime.now(UTC).isoformat(timespec="seconds")
    (KEPT / f"{row}.json").write_text(json.dumps(asdict(result), indent=1))
    return result.passed


def _sources(files: Iterable[Path]) -> list[Path]:
    return [source for path in files for source in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def _count(report: Path, result: SuiteResult) -> None:
    """Read pytest's JUnit report."""
    if not report.exists():
        return
    tree = ET.parse(report)
    properties: Counter[str] = Counter()
    for case in tree.iter("testcase"):
        result.tests += 1
        result.skipped += case.find("skipped") is not None
        result.failed += case.find("failure") is not None or case.find("error") is not None
        for each in case.iter("property"):
            if each.get("value", "").isdecimal():
                properties[each.get("name", "")] += int(each.get("value", "0"))
    result.properties = dict(properties)
