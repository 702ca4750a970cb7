"""Writes the JSON Schema of every message in `tiercast_shared.contracts` beside this file; with `--check`, compares instead."""

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from tiercast_shared import contracts
from tiercast_shared.contracts.base import Contract
from tiercast_shared.contracts.frames import ClientFrame, ServerFrame
from tiercast_shared.contracts.tiers import TierEvent

DIRECTORY = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def messages() -> dict[str, TypeAdapter[object]]:
    """Every message by its name, `<module>/<message>`: each class, and each union that a reader tells apart by `type`."""
    found: dict[str, TypeAdapter[object]] = {
        "frames/server-frame": TypeAdapter(ServerFrame),
        "frames/client-frame": TypeAdapter(ClientFrame),
        "tiers/tier-event": TypeAdapter(TierEvent),
    }
    for module in pkgutil.iter_modules(contracts.__path__):
        for message in _classes(f"{contracts.__name__}.{module.name}"):
            found[f"{module.name}/{_kebab(message.__name__)}"] = TypeAdapter(message)
    return found


def schema_text(message: TypeAdapter[object]) -> str:
    """The schema as it is committed."""
    schema = {"$schema": DIALECT, **message.json_schema()}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write() -> None:
    """Make the files what the code says, and remove those of messages that are gone."""
    wanted = _wanted()
    for path in _committed() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def differences() -> list[str]:
    """What is not as the code says, a line for each file."""
    wanted, committed = _wanted(), _committed()
    return [
        *(f"{path.relative_to(DIRECTORY)}: there is no such message" for path in sorted(committed - wanted.keys())),
        *(f"{path.relative_to(DIRECTORY)}: is missing" for path in sorted(wanted.keys() - committed)),
        *(
            f"{path.relative_to(DIRECTORY)}: differs from the code"
            for path in sorted(wanted.keys() & committed)
            if path.read_text() != wanted[path]
        ),
    ]


def _wanted() -> dict[Path, str]:
    return {DIRECTORY / f"{name}.json": schema_text(message) for name, message in messages().items()}


def _committed() -> set[Path]:
    return set(DIRECTORY.glob("*/*.json"))


def _classes(module_name: str) -> Iterator[type[Contract]]:
    for value in vars(importlib.import_module(module_name)).values():
        own = isinstance(value, type) and issubclass(value, Contract) and value.__module__ == module_name
        if own and value is not Contract:
            yield value


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def main() -> int:
    """Write, or check; returns the exit status."""
    if sys.argv[1:] != ["--check"]:
        write()
        return 0
    found = differences()
    for line in found:
        print(f"shared/schemas/{line}")
    if found:
        print("run `make schemas`, and commit what it writes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
