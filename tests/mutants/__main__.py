"""`make mutants`: remove one safeguard at a time in a copy of the tree, and name the test that fails. Survivors fail it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.mutants import MUTANTS

DATA = ROOT / ".data" / "mutants"
COPY = DATA / "tree"
DISTRIBUTIONS = ("shared", "services/ingest", "services/tiers", "services/gateway")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
LONGEST_SECONDS = 240
"""A mutant may make a test wait for ever; that is a failure too."""


def main(wanted: str) -> int:
    copy_tree()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(COPY / path) for path in (*DISTRIBUTIONS, "."))}
    check_imports(environment)
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.name]
    results = []
    for mutant in mutants:
        began = time.monotonic()
        killer = killed_by(mutant, environment)
        results.append({"name": mutant.name, "file": mutant.file, "killed_by": killer})
        seconds = time.monotonic() - began
        print(
            f"{'killed  ' if killer else 'SURVIVED'} {seconds:5.0f} s  {mutant.name}\n                   {killer or ''}",
            flush=True,
        )
    killed = sum(result["killed_by"] is not None for result in results)
    print(f"{killed} of {len(results)} killed")
    if not wanted:
        (DATA / "results.json").write_text(
            json.dumps({"killed": killed, "total": len(results), "mutants": results}, indent=2) + "\n"
        )
    shutil.rmtree(COPY)
    return int(killed < len(results))


def copy_tree() -> None:
    """The files that git knows, as they are now."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)


def check_imports(environment: dict[str, str]) -> None:
    """The copies must come before what is installed, or nothing would be tested."""
    command = (
        "import tiercast_shared, tiercast_ingest, tiercast_gateway as g; print(g.__file__, tiercast_shared.__file__)"
    )
    found = subprocess.run([sys.executable, "-c", command], env=environment, check=True, capture_output=True, text=True)
    if not all(Path(path).is_relative_to(COPY) for path in found.stdout.split()):
        raise SystemExit(f"the copy is not what is imported: {found.stdout}")


def killed_by(mutant: Mutant, environment: dict[str, str]) -> str | None:
    """The first test that fails without the safeguard; None if none does."""
    texts = {file: (COPY / file).read_text() for file in mutant.files}
    write(mutant.applied_to(texts))
    try:
        return next((killer for test in mutant.tests if (killer := run(test, environment)) is not None), None)
    finally:
        write(texts)


def write(texts: Mapping[str, str]) -> None:
    for file, text in texts.items():
        (COPY / file).write_text(text)


def run(test: str, environment: dict[str, str]) -> str | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", test]
    try:
        done = subprocess.run(
            command, cwd=COPY, env=environment, check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{test} (never ended)"
    if done.returncode == 0:
        return None
    failed = FAILED.search(done.stdout)
    if done.returncode != 1 or failed is None:
        raise SystemExit(f"{test} could not be run:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return failed[1]


if __name__ == "__main__":
    sys.exit(main(os.environ.get("MUTANT", "")))
