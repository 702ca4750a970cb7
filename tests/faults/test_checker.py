"""The checker sees each kind of violation: a sound history is played, then one defect is put in."""

import json
import random
from collections.abc import Callable

import pytest

from tests.faults.checker import check
from tests.faults.history import CANARY, ClientRecord, Fetched, Frame, History, Outcome, Session, Submitted, TierSetting
from tests.support.producers import submission

SIGNALS = 40


class Told:
    """Writes down what an ideal system would deliver."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.history = History()
        self.history.tiers.append(TierSetting("rich", "pro", 0.0, 0.1))
        self.rich, self.poor = (self._client(user, tier) for user, tier in (("rich", "pro"), ("poor", "starter")))
        self.all = self.standard = 0
        for number in range(SIGNALS):
            self.submit(10.0 + number, premium=number % 3 == 0)

    def _client(self, user: str, tier: str) -> ClientRecord:
        client = self.history.client(user, user)
        client.connected_at = 1.0
        client.sessions.append(Session(0, None, 0.9))
        self.receive(client, 1.0, {"type": "connected", "user_tier": tier, "cursor": "c", "recovered": None})
        return client

    def receive(self, client: ClientRecord, at: float, frame: Frame) -> None:
        session = client.sessions[-1]
        session.raw.append(json.dumps(frame, separators=(",", ":")).encode())
        session.arrivals.append(at)
        if frame["type"] == "new_signal":
            client.received.add(frame["data"]["hash"])

    def submit(self, at: float, *, premium: bool, outcome: Outcome = Outcome.OK, deliver: bool = True) -> Submitted:
        reasoning = f"{CANARY}{at}" if premium else "plain"
        content = submission(confidence=90.0 if premium else 70.0, reasoning=reasoning)
        submitted = Submitted(str(content["sha256"]), content, at, outcome, at + 0.1)
        self.history.submissions[submitted.key] = submitted
        if deliver:
            self.deliver(submitted)
        return submitted

    def deliver(self, submitted: Submitted) -> None:
        self.all += 1
        self.receive(self.rich, submitted.began + 0.2, frame_of(submitted, self.all))
        if not submitted.premium:
            self.standard += 1
            self.receive(self.poor, submitted.began + 0.2, frame_of(submitted, self.standard))

    def drop(self, client: ClientRecord, which: Callable[[Frame], bool]) -> Frame:
        """Take one signal away that a client was sent, and no one else's."""
        session = client.sessions[-1]
        candidates = [at for at, frame in enumerate(session.frames()) if frame["type"] == "new_signal" and which(frame)]
        at = self.rng.choice(candidates[1:-1])
        frame: Frame = json.loads(session.raw.pop(at))
        session.arrivals.pop(at)
        client.received.discard(frame["data"]["hash"])
        return frame

    def reconnect(self, client: ClientRecord, at: float, tier: str, *, recovered: bool | None) -> None:
        client.sessions.append(Session(1, "c", at))
        self.receive(client, at, {"type": "connected", "user_tier": tier, "cursor": "c", "recovered": recovered})


def frame_of(submitted: Submitted, seq: int) -> Frame:
    data = {
        "id": f"id-{submitted.key[:8]}",
        "type": "PREMIUM" if submitted.premium else "STANDARD",
        "hash": submitted.key,
        "server_timestamp": submitted.began,
        **{name: submitted.content[name] for name in ("action", "entry_price", "confidence", "reasoning")},
    }
    return {"type": "new_signal", "seq": seq, "cursor": f"c{seq}", "data": data}


@pytest.fixture(params=range(5))
def told(request: pytest.FixtureRequest) -> Told:
    return Told(request.param)


def found(told: Told, grace: float = 0.0) -> set[str]:
    return {kind for kind, all_ in check(told.history, grace=grace).violations.items() if all_}


def test_a_sound_history_is_clean_and_counted(told: Told) -> None:
    findings = check(told.history)
    findings.assert_clean()
    standard = sum(not each.premium for each in told.history.submissions.values())
    assert findings.owed == findings.delivered == SIGNALS + standard
    assert findings.accepted == SIGNALS


def test_a_signal_that_one_client_never_got_is_lost_and_a_silent_gap(told: Told) -> None:
    told.drop(told.rich, lambda frame: frame["data"]["type"] == "PREMIUM")
    assert found(told) == {"lost", "silent_gaps"}


def test_a_signal_that_nobody_got_is_lost(told: Told) -> None:
    told.submit(99.0, premium=False, deliver=False)
    assert found(told) == {"lost"}
    assert len(check(told.history).lost) == 2


def test_a_last_signal_that_was_lost_shows_without_a_gap(told: Told) -> None:
    last = told.submit(99.0, premium=True)
    told.rich.sessions[-1].raw.pop()
    told.rich.sessions[-1].arrivals.pop()
    told.rich.received.discard(last.key)
    assert found(told) == {"lost"}


def test_a_gap_over_a_reconnect_that_claims_to_be_whole_is_silent(told: Told) -> None:
    told.reconnect(told.rich, 60.0, "pro", recovered=True)
    missed = told.submit(61.0, premium=True, deliver=False)
    told.all += 1
    assert missed.key not in told.rich.received
    told.submit(62.0, premium=False)
    assert found(told) == {"lost", "silent_gaps"}


def test_a_gap_of_which_the_client_was_told_is_not_silent(told: Told) -> None:
    told.submit(61.0, premium=True, deliver=False)
    told.all += 1
    told.reconnect(told.rich, 62.0, "pro", recovered=False)
    told.receive(told.rich, 62.0, {"type": "resync_required", "reason": "cursor_too_old", "cursor": "c"})
    told.submit(63.0, premium=False)
    findings = check(told.history)
    findings.assert_clean()
    assert findings.told_missing == 1


def test_what_was_lost_after_the_resync_is_still_lost(told: Told) -> None:
    told.receive(told.rich, 62.0, {"type": "resync_required", "reason": "too_slow", "cursor": "c"})
    told.submit(63.0, premium=True, deliver=False)
    assert found(told) == {"lost"}


def test_a_signal_that_came_twice_is_duplicated(told: Told) -> None:
    again = frame_of(next(iter(told.history.submissions.values())), told.all + 1)
    told.reconnect(told.rich, 60.0, "pro", recovered=False)
    told.receive(told.rich, 60.0, again)
    assert "duplicated" in found(told)


def test_an_indeterminate_submission_may_appear_or_not_but_not_twice(told: Told) -> None:
    told.submit(60.0, premium=False, outcome=Outcome.INDETERMINATE, deliver=False)
    appeared = told.submit(61.0, premium=False, outcome=Outcome.INDETERMINATE)
    check(told.history).assert_clean()
    told.deliver(appeared)
    assert "duplicated" in found(told)


def test_signals_in_the_wrong_order_are_seen(told: Told) -> None:
    session = told.poor.sessions[-1]
    at = told.rng.randrange(2, len(session.raw) - 1)
    session.raw[at], session.raw[at + 1] = session.raw[at + 1], session.raw[at]
    assert "out_of_order" in found(told)


def test_places_whose_times_run_backwards_are_out_of_order(told: Told) -> None:
    late = told.submit(100.0, premium=False, deliver=False)
    early = told.submit(99.0, premium=False, deliver=False)
    told.deliver(late)
    told.deliver(early)
    assert found(told) == {"out_of_order"}


def test_a_refused_submission_that_appears_is_unexpected(told: Told) -> None:
    told.submit(60.0, premium=False, outcome=Outcome.FAIL)
    assert found(told) == {"unexpected"}


def test_a_signal_that_nobody_submitted_is_unexpected(told: Told) -> None:
    stranger = told.submit(60.0, premium=False)
    del told.history.submissions[stranger.key]
    assert found(told) == {"unexpected"}


def test_a_signal_with_other_content_than_was_sent_is_unexpected(told: Told) -> None:
    submitted = told.submit(60.0, premium=False)
    submitted.content["entry_price"] = 1.0
    assert found(told) == {"unexpected"}


def test_another_body_under_the_same_place_is_a_fork(told: Told) -> None:
    submitted = told.submit(60.0, premium=False, deliver=False)
    told.deliver(submitted)
    told.poor.sessions[-1].raw[-1] = told.poor.sessions[-1].raw[-1].replace(b'"id-', b'"di-')
    assert found(told) == {"forked"}


def test_two_signals_under_one_place_are_a_fork(told: Told) -> None:
    other = told.submit(60.0, premium=False, deliver=False)
    told.all += 1
    told.receive(told.rich, 60.2, frame_of(other, told.all))
    told.standard += 1
    stranger = told.submit(60.1, premium=False, deliver=False)
    told.receive(told.rich, 60.3, frame_of(stranger, told.all + 1))
    twin = told.history.client("twin", "rich")
    twin.sessions.append(Session(0, None, 0.0))
    told.receive(twin, 1.0, {"type": "connected", "user_tier": "pro", "cursor": "c", "recovered": None})
    told.receive(twin, 60.3, frame_of(stranger, told.all))
    assert "forked" in found(told)


def test_premium_bytes_to_a_starter_are_leaked_in_whatever_frame(told: Told) -> None:
    told.receive(told.poor, 60.0, {"type": "error", "code": "x", "message": f"text with {CANARY}1"})
    assert found(told) == {"leaked"}


def test_premium_bytes_in_a_starters_http_answer_are_leaked(told: Told) -> None:
    told.poor.fetched.append(Fetched(60.0, b'[{"type":"PREMIUM"}]'))
    assert found(told) == {"leaked"}


def test_premium_after_the_connection_was_told_to_be_starter_is_leaked(told: Told) -> None:
    told.history.tiers.append(TierSetting("rich", "starter", 59.0, 59.1))
    told.receive(told.rich, 59.2, {"type": "tier_changed", "user_tier": "starter", "cursor": "c"})
    told.receive(told.rich, 59.3, frame_of(told.submit(59.2, premium=True, deliver=False), told.all + 1))
    assert "leaked" in found(told, grace=30)


def test_premium_long_after_an_answered_downgrade_is_leaked_even_if_the_client_was_never_told(told: Told) -> None:
    told.history.tiers.append(TierSetting("rich", "starter", 59.0, 59.1))
    late = told.submit(70.0, premium=True, deliver=False)
    told.receive(told.rich, 70.0, frame_of(late, told.all + 1))
    assert found(told, grace=5) == {"leaked"}
    assert found(told, grace=30) == set()


def test_a_user_who_is_told_a_tier_that_nobody_set_leaks(told: Told) -> None:
    told.reconnect(told.poor, 60.0, "pro", recovered=True)
    told.receive(told.poor, 60.1, frame_of(told.submit(60.0, premium=True, deliver=False), 41))
    assert "leaked" in found(told)


def test_premium_is_not_owed_to_who_was_downgraded_after_it_was_sent(told: Told) -> None:
    told.submit(60.0, premium=True, deliver=False)
    told.history.tiers.append(TierSetting("rich", "starter", 60.05, 60.1))
    check(told.history, grace=1).assert_clean()


def test_withheld_premium_that_is_replayed_leaves_no_gap(told: Told) -> None:
    told.receive(told.rich, 60.0, {"type": "tier_changed", "user_tier": "starter", "cursor": "c"})
    withheld = [told.submit(61.0 + number, premium=number != 1, deliver=False) for number in range(3)]
    told.standard += 1
    for client in (told.rich, told.poor):
        told.receive(client, 62.1, frame_of(withheld[1], told.standard))
    told.receive(told.rich, 63.0, {"type": "tier_changed", "user_tier": "pro", "cursor": "c"})
    told.receive(told.rich, 63.1, frame_of(withheld[0], told.all + 1))
    told.receive(told.rich, 63.1, frame_of(withheld[2], told.all + 3))
    twin = told.history.client("twin", "rich")
    twin.sessions.append(Session(0, None, 0.0))
    told.receive(twin, 60.5, {"type": "connected", "user_tier": "pro", "cursor": "c", "recovered": None})
    for number, each in enumerate(withheld, told.all + 1):
        told.receive(twin, 63.0, frame_of(each, number))
    check(told.history).assert_clean()


# -- a cursor that stood still --------------------------------------------------------------------


def withheld(told: Told) -> list[Submitted]:
    """The rich client is cut off, is served as a STARTER under the cursor it came with, and is cut off again."""
    told.reconnect(told.rich, 60.0, "starter", recovered=True)
    sent = [told.submit(61.0 + number, premium=number % 2 == 1, deliver=False) for number in range(6)]
    for submitted in sent:
        told.all += 1
        if not submitted.premium:
            told.standard += 1
            frame = frame_of(submitted, told.standard)
            told.receive(told.poor, submitted.began + 0.2, frame)
            told.receive(told.rich, submitted.began + 0.2, {**frame, "cursor": "c"})
    return sent


def repeat(told: Told, sent: list[Submitted], **more: object) -> None:
    """It resumes from the cursor that stood still, with its tier known again."""
    told.reconnect(told.rich, 70.0, "pro", recovered=True)
    for number, submitted in enumerate(sent):
        told.receive(told.rich, 71.0, {**frame_of(submitted, told.all - len(sent) + 1 + number), **more})


def test_what_came_under_a_cursor_that_stood_still_may_be_replayed(told: Told) -> None:
    repeat(told, withheld(told), replay=True)
    findings = check(told.history)
    findings.assert_clean()
    assert findings.repeated_as_told == 3


def test_a_repeat_that_is_not_marked_is_a_duplicate(told: Told) -> None:
    repeat(told, withheld(told))
    assert found(told) == {"duplicated"}


def test_a_repeat_of_what_came_under_another_cursor_is_a_duplicate(told: Told) -> None:
    sent = withheld(told)
    before = next(each for each in told.history.submissions.values() if not each.premium)
    repeat(told, sent, replay=True)
    told.receive(told.rich, 72.0, {**frame_of(before, told.all + 1), "replay": True})
    assert "duplicated" in found(told)


def test_what_was_withheld_and_is_not_replayed_is_lost_and_a_silent_gap(told: Told) -> None:
    sent = withheld(told)
    repeat(told, sent, replay=True)
    told.drop(told.rich, lambda frame: frame["data"]["type"] == "PREMIUM")
    assert found(told) == {"lost", "silent_gaps"}
