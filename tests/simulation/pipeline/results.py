"""What was simulated, written down for docs/guarantees.md."""

import json
from collections import Counter
from pathlib import Path

RESULTS = Path(__file__).parents[3] / ".data" / "simulation" / "results.json"


def write(name: str, *, seeds: int, failing: list[int], met: Counter[str]) -> None:
    """Put one kind of schedule into the file, beside the others."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = {"seeds": seeds, "failing": failing, "met": dict(sorted(met.items()))}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
