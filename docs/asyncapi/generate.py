"""Writes the services' AsyncAPI documents beside this file; with `--check`, compares instead.

Run from the root of the checkout: `python -m docs.asyncapi.generate`.
"""

import json
import sys
from pathlib import Path

from docs.asyncapi import services

DIRECTORY = Path(__file__).parent
DOCUMENTS = {"gateway": services.gateway, "ingest": services.ingest, "tiers": services.tiers}


def texts() -> dict[str, str]:
    """Each document as it is committed, by its file's name."""
    return {
        f"{name}.json": json.dumps(make(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, make in DOCUMENTS.items()
    }


def differences(directory: Path = DIRECTORY) -> list[str]:
    """The files in `directory` that are not as the code says."""
    wanted = texts()
    present = {path.name: path.read_text() for path in directory.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main() -> int:
    """Write, or check; returns the exit status."""
    if sys.argv[1:] != ["--check"]:
        for name, text in texts().items():
            (DIRECTORY / name).write_text(text)
        return 0
    found = differences()
    for name in found:
        print(f"docs/asyncapi/{name}: differs from the code")
    if found:
        print("run `make asyncapi`, and commit what it writes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
