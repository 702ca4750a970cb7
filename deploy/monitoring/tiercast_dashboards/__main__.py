"""Writes the dashboards' JSON beside this package; with `--check`, tells whether it would change."""

import json
import sys
from pathlib import Path

from tiercast_dashboards import delivery, pipeline, services

DIRECTORY = Path(__file__).parents[1] / "dashboards"
DASHBOARDS = {module.DASHBOARD.uid: module.DASHBOARD for module in (delivery, pipeline, services)}


def texts() -> dict[Path, str]:
    """What each file should hold."""
    return {
        DIRECTORY / f"{uid}.json": json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"
        for uid, dashboard in DASHBOARDS.items()
    }


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit status."""
    wanted = texts()
    stray = [path for path in DIRECTORY.glob("*.json") if path not in wanted]
    if arguments == ["--check"]:
        changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        for path in [*changed, *stray]:
            print(f"{path.name} is not what the code makes: run `make dashboards`", file=sys.stderr)
        return 1 if changed or stray else 0
    for path, text in wanted.items():
        path.write_text(text)
    for path in stray:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
