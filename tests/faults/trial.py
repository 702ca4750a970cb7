"""One trial of one row: its size, its seed, and what it measures."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.faults.checker import Findings
from tests.faults.results import Count, Result


@dataclass
class Trial:
    """What a row's test is given."""

    result: Result
    began: float

    @property
    def long(self) -> bool:
        """Whether this is the long form, of `make faults`."""
        return self.result.form == "long"

    @property
    def seed(self) -> int:
        return self.result.seed

    @property
    def rng(self) -> random.Random:
        """The trial's chance, from its seed; ask once."""
        return random.Random(self.seed)

    def count(self, name: str, count: int, *, of: int, unit: str) -> None:
        """Note how often something that must not happen did, out of how many opportunities."""
        self.result.counts[name] = Count(count, of, unit)

    def tally(self, **tallies: int) -> None:
        """Note how much was done or seen."""
        for name, number in tallies.items():
            key = name.replace("_", " ")
            self.result.tallies[key] = self.result.tallies.get(key, 0) + number

    def timing(self, name: str, *samples: float, target: float | None = None) -> None:
        """Note samples of a duration; `name` ends with its unit, and so does `target`, the most that is wanted.

        A time is reported beside its target, not asserted: how long anything takes is the machine's word too.
        """
        self.result.timings.setdefault(name, []).extend(samples)
        if target is not None:
            self.result.targets[name] = target

    def note(self, text: str) -> None:
        """Note what a reader must know about this trial."""
        if text not in self.result.notes:
            self.result.notes.append(text)

    def judge(self, findings: Findings) -> None:
        """Note what the checker found, and fail if it found anything."""
        self.tally(accepted=findings.accepted, indeterminate=findings.indeterminate, deliveries=findings.delivered)
        for kind, found in findings.violations.items():
            of, unit = findings.owed, "deliveries"
            if kind == "leaked":
                of, unit = findings.frames_to_starters, "frames to STARTER"
            elif kind in {"unexpected", "duplicated", "out_of_order", "silent_gaps", "forked"}:
                of = findings.delivered
            self.count(kind.replace("_", " "), len(found), of=of, unit=unit)
        if findings.repeated_as_told:
            self.tally(**{"repeats marked replay, from a cursor that stood still": findings.repeated_as_told})
        if findings.told_missing:
            self.tally(**{"deliveries refused with resync_required": findings.told_missing})
        findings.assert_clean()

    def finish(self, problem: str, skipped: str) -> None:
        """Keep the result; empty texts are good news."""
        self.result.passed = not problem and not skipped
        self.result.problem, self.result.skipped = problem, skipped
        self.result.finished = datetime.now(UTC).isoformat(timespec="seconds")
        self.result.seconds = round(time.monotonic() - self.began, 1)
        self.result.save()
