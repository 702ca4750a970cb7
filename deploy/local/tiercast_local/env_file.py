"""Files of `NAME=value` lines that this package and a shell (`. file`) read alike."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """Return the values in `path`; a file that is not there holds none. Comments and empty lines are skipped."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): "".join(shlex.split(value)) for name, _, value in pairs}


def write(path: Path, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Replace `path` in one step, readable by its owner only: for each heading, a comment and its values."""
    blocks = [
        "\n".join([f"# {heading}", *(f"{name}={shlex.quote(value)}" for name, value in values.items())])
        for heading, values in sections.items()
    ]
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n\n".join(blocks) + "\n")
    draft.replace(path)
