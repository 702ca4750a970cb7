"""What other suites left behind for the document: requests answered, schedules simulated, safeguards removed."""

import json
from collections import Counter
from collections.abc import Iterator

from tests.faults.results import ROOT

ANSWERS = ROOT / ".data" / "openapi" / "results.json"
SCHEDULES = ROOT / ".data" / "simulation" / "results.json"
MUTANTS = ROOT / ".data" / "mutants" / "results.json"


def answers() -> Iterator[str]:
    """What `tests/e2e/test_openapi.py` sent, and was answered."""
    if not ANSWERS.exists():
        return
    parts = json.loads(ANSWERS.read_text())
    cases = sum(part["cases"] for part in parts.values())
    errors = sum(part["server_errors"] for part in parts.values())
    violations = sum(len(part["violations"]) for part in parts.values())
    seeds = ", ".join(sorted({str(part["seed"]) for part in parts.values()}))
    yield f"- Zero: 5xx **{errors}** of {cases:,} requests; schema violations **{violations}** of {cases:,} answers"
    sent = "; ".join(f"{name} {part['cases']:,}" for name, part in sorted(parts.items()))
    yield f"- Done and seen (seed {seeds}): {sent}"


def schedules() -> Iterator[str]:
    """What `tests/simulation/pipeline` and `make simulate` played."""
    if not SCHEDULES.exists():
        return
    kinds = json.loads(SCHEDULES.read_text())
    failing = [seed for kind in kinds.values() for seed in kind["failing"]]
    met: Counter[str] = Counter()
    for kind in kinds.values():
        met.update(kind["met"])
    seeds = sum(kind["seeds"] for kind in kinds.values())
    yield f"- Zero: failing seeds **{len(failing)}** of {seeds:,} {failing or ''}".rstrip()
    yield f"- Done and seen: {'; '.join(f'{name} {count:,}' for name, count in sorted(met.items()))}"


def mutants() -> Iterator[str]:
    """The table of `make mutants`."""
    yield "\n## Can the tests see?\n"
    yield "One safeguard is removed at a time; a test must fail for each.\n"
    if not MUTANTS.exists():
        yield "Not measured yet.\n"
    else:
        found = json.loads(MUTANTS.read_text())
        yield f"Killed: **{found['killed']} of {found['total']}**.\n"
        yield "| removed | in | seen by |"
        yield "|---|---|---|"
        for each in found["mutants"]:
            seen_by = f"`{each['killed_by']}`" if each["killed_by"] else "**nothing**"
            yield f"| {each['name']} | `{each['file']}` | {seen_by} |"
        yield ""
    yield "Repeat: `make mutants`\n"
