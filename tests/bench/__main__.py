"""The headline rows of the table of targets, one after the other, then docs/performance.md.

python -m tests.bench
"""

import subprocess
import sys
import time

HEADLINES = (
    ["fanout", "--peers", "--seconds", "5"],
    ["capacity", "--seconds", "5"],
    ["latency", "--seconds", "6"],
    ["ingest", "--signals", "10000", "--repetitions", "2"],
    ["memory", "--repetitions", "2"],
    ["statements"],
    ["storm", "--repetitions", "2"],
    ["polling"],
)


def main() -> None:
    began, failed = time.monotonic(), []
    for name, *arguments in HEADLINES:
        print(f"== {name} {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *arguments], check=False).returncode:
            failed.append(name)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    subprocess.run([sys.executable, "-m", "tests.bench.performance"], check=True)
    if failed:
        raise SystemExit(f"could not be measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
