"""Every mutant's place is still there: a safeguard that was moved or renamed must not drop out of `make mutants` unseen."""

import re

import pytest

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_safeguard_can_be_removed_and_what_is_left_is_python(mutant: Mutant) -> None:
    texts = {file: (ROOT / file).read_text() for file in mutant.files}
    for file, changed in mutant.applied_to(texts).items():
        assert changed != texts[file]
        if file.endswith(".py"):
            compile(changed, file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_must_notice_are_there(mutant: Mutant) -> None:
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text()
        assert not name or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), name


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
