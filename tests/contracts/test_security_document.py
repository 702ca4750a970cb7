"""docs/security.md says what is so: its tests and mutants are there, every mutant of a defence is in it, and so is every row."""

import re
from pathlib import Path

import pytest

from tests.mutants.billing import BILLING
from tests.mutants.security import SECURITY

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
HEADER = "| vector | defence | in | tests | mutants |"


def rows() -> list[list[str]]:
    table = DOCUMENT.split(HEADER)[1].split("\n\n")[0]
    return [[cell.strip() for cell in re.split(r" \| ", line.strip("| "))] for line in table.splitlines()[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_each_row_names_a_defence_where_it_is_and_tests_that_exist(row: list[str]) -> None:
    vector, defence, places, tests, mutants = row
    assert vector
    assert defence
    assert quoted(places)
    assert quoted(mutants)
    assert quoted(tests)
    for test in quoted(tests):
        file, _, name = test.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert not name or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), test


def test_every_defence_that_is_removed_has_its_row_and_no_row_names_another() -> None:
    groups = {mutant.name.partition(":")[0] for mutant in (*SECURITY, *BILLING)}
    named = [group for row in rows() for group in quoted(row[4])]
    assert sorted(named) == sorted(groups)
