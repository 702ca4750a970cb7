"""Submissions are refused while too much waits to be published."""

import pytest

from tiercast_ingest.admission import Admission
from tiercast_shared.errors import Unavailable


class Backlog:
    signals = 0

    def __call__(self) -> int:
        return self.signals


@pytest.fixture
def backlog() -> Backlog:
    return Backlog()


@pytest.fixture
def admission(backlog: Backlog) -> Admission:
    return Admission(backlog, limit=10)


@pytest.mark.parametrize("signals", [0, 9])
def test_below_the_limit_everything_passes(admission: Admission, backlog: Backlog, signals: int):
    backlog.signals = signals
    admission.check()


def test_from_the_limit_on_nothing_passes_and_it_is_said_when_to_come_back(admission: Admission, backlog: Backlog):
    backlog.signals = 10
    with pytest.raises(Unavailable, match="10 signals wait to be published") as refused:
        admission.check()
    assert refused.value.retry_after == 5


def test_it_opens_again_only_when_the_backlog_is_down_to_half(admission: Admission, backlog: Backlog):
    for signals, passes in [(10, False), (9, False), (5, False), (4, True), (9, True), (10, False)]:
        backlog.signals = signals
        if passes:
            admission.check()
        else:
            with pytest.raises(Unavailable):
                admission.check()
