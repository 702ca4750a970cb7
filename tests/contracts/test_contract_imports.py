"""Contracts can be read, copied and generated from without anything of ours but pydantic."""

import ast
import sys
from pathlib import Path

import pytest

from tiercast_shared import contracts

FILES = sorted(Path(contracts.__path__[0]).glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_contracts_import_nothing_but_pydantic_the_standard_library_and_each_other(file):
    for name in _imported(ast.parse(file.read_text())):
        top = name.split(".", 1)[0]
        assert top in sys.stdlib_module_names or top == "pydantic" or name.startswith("tiercast_shared.contracts."), (
            name
        )


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.append(node.module or "")
    return names
