"""`make faults`: the long form of all rows, or of one, and then the document.

Trials that passed on the same sources are not repeated. What measures latencies has the machine to itself; of the rest two run at
once, for they wait more than they compute.
"""

import os
import subprocess
import sys

from tests.faults import report, suites
from tests.faults.results import ROOT

APART = "faults(alone=True)"
PASSES = (("-n", "2", "--dist", "loadfile", "-m", f"faults and not {APART}"), ("-n", "0", "-m", APART))
NOTHING_COLLECTED = 5


def main() -> int:
    """Run what is wanted; returns 1 if anything failed."""
    row = os.environ.get("ROW", "")
    failed = False
    try:
        if not row or int(row) not in suites.SUITES:
            for options in PASSES:
                failed = _trials(options, row) or failed
        for number in suites.SUITES:
            if row in {"", str(number)}:
                failed = not suites.run(number, fresh=bool(os.environ.get("FRESH"))) or failed
    finally:
        report.main()
    return int(failed)


def _trials(options: tuple[str, ...], row: str) -> bool:
    files = f"tests/faults/test_row_{int(row):02}_*.py" if row else "tests/faults/test_row_*.py"
    paths = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(files))
    command = [sys.executable, "-m", "pytest", "-v", *options, *paths, *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"FAULT_FORM": "long"}, check=False)
    return done.returncode not in {0, NOTHING_COLLECTED}


if __name__ == "__main__":
    sys.exit(main())
