"""The headline rows of the table of targets, one after the other, then docs/performance.md.

python -m tests.bench
"""

import json
import os
import subprocess
import sys
import time

from tests.bench.figures import RESULTS, figure_of, table
from tests.bench.system import OTHERS_CORE
from tests.support.backends import Backends

HEADLINES = (
    ["fanout", "--peers", "--seconds", "4"],
    ["capacity", "--seconds", "4", "--rates", "200,400,500,600,800,1000,1200"],
    ["latency", "--seconds", "4"],
    ["ingest", "--signals", "8000", "--repetitions", "2", "--batches"],
    ["memory", "--repetitions", "2"],
    ["statements"],
    ["storm", "--repetitions", "2"],
    ["polling", "--seconds", "2"],
)


def main() -> None:
    began, failed = time.monotonic(), []
    backends = Backends()
    os.sched_setaffinity(0, {OTHERS_CORE})
    try:
        broker = backends.broker()  # one for all, each on a virtual host of its own: it takes 7 s to start
        environment = os.environ | {"TEST_AMQP_URL": broker.url, "TEST_RABBITMQ_API_URL": broker.api_url}
        for name, *arguments in HEADLINES:
            print(f"== {name} {' '.join(arguments)}", flush=True)
            command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
            if subprocess.run(command, check=False, env=environment).returncode:
                failed.append(name)
    finally:
        backends.close()
    print(summary())
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    subprocess.run([sys.executable, "-m", "tests.bench.performance"], check=True)
    if failed:
        raise SystemExit(f"could not be measured: {', '.join(failed)}")


def summary() -> str:
    """Every row of the table of targets."""
    files = [RESULTS / f"{name}.json" for name, *_ in HEADLINES]
    results = [json.loads(file.read_text()) for file in files if file.exists()]
    figures = [figure_of(values) for result in results for values in result["figures"]]
    return table(sorted((figure for figure in figures if figure.row), key=lambda figure: figure.row or 0))


if __name__ == "__main__":
    main()
