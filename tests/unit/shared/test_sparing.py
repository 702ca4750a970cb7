"""What is tried again and again is said once in a while."""

import pytest
import structlog

from tiercast_shared.observability import Sparing


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(sparing: Sparing, event: str, reason: str) -> bool:
    try:
        passed = sparing(None, "warning", {"event": event, "reason": reason, "once_in": 30})
    except structlog.DropEvent:
        return False
    assert "once_in" not in passed
    return True


def test_the_same_reason_passes_once_in_the_time_given_and_another_one_at_once() -> None:
    clock = Clock()
    sparing = Sparing(clock)
    assert said(sparing, "away", "refused")
    assert not said(sparing, "away", "refused")
    assert said(sparing, "away", "timed out")
    assert said(sparing, "gone", "refused")
    clock.now = 30.0
    assert said(sparing, "away", "refused")


def test_other_events_pass_as_often_as_they_come() -> None:
    sparing = Sparing()
    for _ in range(3):
        assert sparing(None, "info", {"event": "signal accepted"}) == {"event": "signal accepted"}


@pytest.mark.parametrize("level", ["info", "error"])
def test_it_asks_for_no_reason(level: str) -> None:
    sparing = Sparing()
    assert sparing(None, level, {"event": "e", "once_in": 1}) == {"event": "e"}
    with pytest.raises(structlog.DropEvent):
        sparing(None, level, {"event": "e", "once_in": 1})
