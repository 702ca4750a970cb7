"""`make simulate SEEDS=n [FROM=n]`: play more schedules than the tests do; failing seeds are printed with the steps they need."""

import logging
import os
import sys
from collections import Counter

import structlog

from tests.simulation.pipeline import results
from tests.simulation.pipeline.schedule import play, shortest


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, count = int(os.environ.get("FROM") or 10_000), int(os.environ.get("SEEDS") or 2_000)
    met: Counter[str] = Counter()
    failing: list[int] = []
    for seed in range(first, first + count):
        try:
            met += play(seed)
        except AssertionError as error:
            failing.append(seed)
            print(f"seed {seed} fails ({shortest(seed)} steps suffice): {error}", flush=True)
    results.write(f"simulate from {first}", seeds=count, failing=failing, met=met)
    print(f"{count} schedules from seed {first}, {len(failing)} failing; met: {dict(sorted(met.items()))}")
    return bool(failing)


if __name__ == "__main__":
    sys.exit(main())
