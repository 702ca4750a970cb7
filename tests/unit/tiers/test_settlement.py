"""What changes do to users and to the log."""

import json
from hashlib import sha256

from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_tiers.domain import (
    Origin,
    RevokeSessions,
    SessionsRevoked,
    SetTier,
    Settlement,
    TierSet,
    UserState,
)

NOW = 1_795_403_760.25
ORIGIN = Origin(actor="ops", correlation_id="c-1", received_at=NOW - 0.5)


def settlement(seq: int = 0, *, now: float = NOW, **users: UserState) -> Settlement:
    return Settlement("epoch-1", seq, GENESIS, dict(users), now)


def set_tier(user_id: str, tier: Tier, reason: str = "paid") -> SetTier:
    return SetTier(user_id, tier, reason, ORIGIN)


def test_a_first_change_starts_from_starter_and_takes_the_next_position_as_version():
    log = settlement(seq=41)
    outcome = log.settle(set_tier("alice", Tier.PRO))
    assert outcome == TierSet("alice", Tier.STARTER, UserState(Tier.PRO, 42, NOW), changed=True)
    assert [entry.seq for entry in log.entries] == [42]


def test_the_body_of_a_change_is_the_event_of_the_protocol():
    log = settlement(seq=6)
    log.settle(set_tier("auth0|zoë", Tier.ELITE, reason="invoice 7"))
    assert (
        log.entries[0].body
        == (
            '{"type":"tier.changed","schema":1,"epoch":"epoch-1","seq":7,"user_id":"auth0|zoë","tier":"elite",'
            '"previous_tier":"starter","version":7,"reason":"invoice 7","changed_at":1795403760.25}'
        ).encode()
    )
    assert TierChanged.model_validate_json(log.entries[0].body).version == 7


def test_the_body_of_a_revocation_is_the_event_of_the_protocol():
    log = settlement(seq=6)
    outcome = log.settle(RevokeSessions("alice", ORIGIN))
    assert outcome == SessionsRevoked("alice", 7, NOW)
    assert log.entries[0].body == (
        b'{"type":"session.revoked","schema":1,"epoch":"epoch-1","seq":7,"user_id":"alice","tokens_valid_after":1795403760.25}'
    )
    assert SessionRevoked.model_validate_json(log.entries[0].body).seq == 7


def test_each_link_commits_to_its_body_and_to_the_link_before():
    log = settlement()
    for tier in (Tier.PRO, Tier.ELITE, Tier.STARTER):
        log.settle(set_tier("alice", tier))
    previous = GENESIS
    for entry in log.entries:
        assert entry.chain == sha256(previous + sha256(entry.body).digest()).digest()
        previous = entry.chain
    assert log.chain == previous


def test_two_changes_of_one_user_in_a_batch_both_count():
    log = settlement()
    first, second = log.settle(set_tier("alice", Tier.PRO)), log.settle(set_tier("alice", Tier.ELITE))
    assert isinstance(first, TierSet)
    assert isinstance(second, TierSet)
    assert (first.previous_tier, second.previous_tier) == (Tier.STARTER, Tier.PRO)
    assert log.users["alice"] == UserState(Tier.ELITE, 2, NOW)
    assert [json.loads(entry.body)["previous_tier"] for entry in log.entries] == ["starter", "pro"]


def test_setting_the_tier_a_user_has_writes_nothing_and_says_so():
    known = UserState(Tier.PRO, 3, 100.0, 50.0)
    log = settlement(seq=9, alice=known)
    assert log.settle(set_tier("alice", Tier.PRO)) == TierSet("alice", Tier.PRO, known, changed=False)
    assert (log.seq, log.chain, log.entries) == (9, GENESIS, [])


def test_an_unknown_user_set_to_starter_stays_unknown():
    log = settlement()
    assert log.settle(set_tier("nobody", Tier.STARTER)) == TierSet("nobody", Tier.STARTER, UserState(), changed=False)
    assert log.users == {}


def test_a_revocation_leaves_tier_and_version_and_a_change_of_tier_leaves_the_revocation():
    log = settlement(seq=5, alice=UserState(Tier.PRO, 3, 100.0))
    log.settle(RevokeSessions("alice", ORIGIN))
    assert log.users["alice"] == UserState(Tier.PRO, 3, 100.0, NOW)
    log.settle(set_tier("alice", Tier.STARTER))
    assert log.users["alice"] == UserState(Tier.STARTER, 7, NOW, NOW)


def test_a_clock_that_runs_behind_never_makes_revoked_tokens_valid_again():
    log = settlement(now=NOW - 60, alice=UserState(tokens_valid_after=NOW))
    assert log.settle(RevokeSessions("alice", ORIGIN)) == SessionsRevoked("alice", 1, NOW)


def test_an_entry_says_who_asked_and_when():
    log = settlement()
    log.settle(set_tier("alice", Tier.PRO))
    entry = log.entries[0]
    assert (entry.origin, entry.committed_at, entry.reason) == (ORIGIN, NOW, "paid")


def test_a_revocation_has_a_reason_too():
    log = settlement()
    log.settle(RevokeSessions("alice", ORIGIN, "a lost phone"))
    log.settle(RevokeSessions("alice", ORIGIN))
    assert [entry.reason for entry in log.entries] == ["a lost phone", "sessions revoked"]
