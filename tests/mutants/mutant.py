"""One safeguard, and the change that removes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GATEWAY = "services/gateway/tiercast_gateway/"
INGEST = "services/ingest/tiercast_ingest/"
TIERS = "services/tiers/tiercast_tiers/"
SHARED = "shared/tiercast_shared/"
UNIT = "tests/unit/gateway/"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which occurs exactly once in `file`, becomes `new`; one of `tests`, the fastest first, must fail.

    A test is a file, or one function of it (`file::name`). `also` holds more changes (file, old, new) that go with the first: where
    two defences cover each other, only the removal of both shows.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    also: tuple[tuple[str, str, str], ...] = ()

    @property
    def files(self) -> set[str]:
        """All files that it changes."""
        return {self.file, *(file for file, _, _ in self.also)}

    def applied_to(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts of its files without the safeguard.

        Raises:
            ValueError: a place is not there any more, or not the only one.
        """
        changed = {file: texts[file] for file in self.files}
        for file, old, new in ((self.file, self.old, self.new), *self.also):
            if changed[file].count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} occurs {changed[file].count(old)} times in {file}")
            changed[file] = changed[file].replace(old, new)
        return changed
