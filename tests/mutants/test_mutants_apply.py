"""Every mutant's place is still there: a safeguard that was moved or renamed must not drop out of `make mutants` unseen."""

import pytest

from tests.mutants.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_safeguard_can_be_removed_and_what_is_left_is_python(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text()
    changed = mutant.applied_to(text)
    assert changed != text
    compile(changed, mutant.file, "exec")
    assert all((ROOT / test).is_file() for test in mutant.tests)


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
