"""The tier cache trusts what is complete for 30 s, lets the higher version win, and is bounded."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.gateway.doubles import EPOCH, Clock, session_revoked, tier_changed
from tiercast_gateway.tier_cache import LEASE_SECONDS, KnownTier, TierCache
from tiercast_shared.contracts.tiers import Tier, TierLookup, TierState

Told = tuple[str, Tier, Tier, str]


class World:
    """A cache, its clock, and what its listener was told."""

    def __init__(self, *, begun: bool = True, max_idle: int = 50) -> None:
        self.clock = Clock(1000.0)
        self.told: list[Told] = []
        self.cache = TierCache(self.clock, self._hear, max_idle=max_idle)
        if begun:
            self.cache.begin(EPOCH, 0)

    def _hear(self, user: str, before: KnownTier, known: KnownTier, reason: str) -> None:
        self.told.append((user, before.tier, known.tier, reason))

    def change(self, user: str, tier: Tier, *, seq: int | None = None, epoch: str = EPOCH) -> bool:
        return self.cache.changed(tier_changed(seq or self.cache.applied + 1, user, tier, epoch=epoch))

    def answer(
        self, user: str, tier: Tier, version: int, head: int, *, epoch: str = EPOCH, valid_after: float | None = None
    ) -> None:
        state = TierState(tier=tier, version=version, tokens_valid_after=valid_after)
        self.cache.answered(TierLookup(epoch=epoch, head=head, tiers={user: state}))

    def known(self, user: str = "alice", tier: Tier = Tier.PRO) -> None:
        """The user is looked up at the present head."""
        self.cache.asking([user])
        self.answer(user, tier, self.cache.applied, self.cache.applied)


# -- versions -------------------------------------------------------------------------------------


def test_an_unknown_user_is_starter_and_nothing_is_known() -> None:
    world = World()

    assert world.cache.get("nobody") is None
    assert world.cache.tier_of("nobody") is Tier.STARTER
    assert not world.cache.trusted("nobody")
    assert not world.cache.revoked("nobody", 0)


def test_changes_apply_one_after_the_other_and_a_repeated_one_does_nothing() -> None:
    world = World()
    world.cache.connect("alice")
    world.known()

    assert world.change("alice", Tier.ELITE, seq=1)
    assert not world.change("alice", Tier.ELITE, seq=1)
    assert world.change("alice", Tier.STARTER, seq=2)
    assert not world.change("alice", Tier.ELITE, seq=1), "an old one comes again"

    assert world.cache.tier_of("alice") is Tier.STARTER
    assert [told[2] for told in world.told] == [Tier.PRO, Tier.ELITE, Tier.STARTER]


def test_a_change_beyond_a_gap_counts_for_its_user_at_once_and_the_gap_is_told() -> None:
    world = World()
    world.known()

    assert not world.change("alice", Tier.STARTER, seq=2)

    assert world.cache.gap
    assert world.cache.tier_of("alice") is Tier.STARTER
    world.change("alice", Tier.ELITE, seq=1)
    assert world.cache.tier_of("alice") is Tier.STARTER, "an older change came later"
    world.change("alice", Tier.STARTER, seq=2)
    assert not world.cache.gap


def test_a_change_and_a_revocation_both_count_in_either_order() -> None:
    for first, second in ((1, 2), (2, 1)):
        world = World()
        world.known()
        events = {1: tier_changed(1, "alice", Tier.STARTER), 2: session_revoked(2, "alice", 50.0)}

        world.cache.changed(events[first])
        world.cache.changed(events[second])

        assert world.cache.tier_of("alice") is Tier.STARTER
        assert world.cache.revoked("alice", 49.0)


def test_a_look_up_from_before_a_change_that_came_before_the_beginning_proves_nothing() -> None:
    world = World(begun=False)
    world.cache.announced(EPOCH, 5)
    world.cache.asking(["alice"])

    world.cache.begin(EPOCH, 4)
    world.answer("alice", Tier.PRO, version=4, head=4)

    assert world.cache.gap
    assert not world.cache.trusted("alice")


def test_a_change_of_a_user_nobody_asked_for_is_not_kept() -> None:
    world = World()

    world.change("stranger", Tier.ELITE)

    assert len(world.cache) == 0


def test_a_stale_look_up_does_not_undo_a_change() -> None:
    world = World()
    world.cache.connect("alice")
    world.known()
    world.change("alice", Tier.STARTER, seq=1)

    world.answer("alice", Tier.PRO, version=0, head=0)

    assert world.cache.tier_of("alice") is Tier.STARTER


def test_a_change_that_arrives_while_its_user_is_looked_up_wins_over_the_older_answer() -> None:
    world = World()
    world.cache.connect("alice")
    world.cache.asking(["alice"])

    world.change("alice", Tier.PRO, seq=1)
    world.answer("alice", Tier.STARTER, version=0, head=0)

    world.cache.beacon(EPOCH, 1)
    assert world.cache.tier_of("alice") is Tier.PRO


def test_a_change_that_arrives_while_its_user_is_looked_up_loses_to_a_newer_answer() -> None:
    world = World()
    world.cache.connect("alice")
    world.cache.asking(["alice"])

    world.change("alice", Tier.PRO, seq=1)
    world.answer("alice", Tier.ELITE, version=2, head=2)

    assert world.cache.tier_of("alice") is Tier.ELITE
    assert world.change("alice", Tier.ELITE, seq=2), "what the answer knew already is still the log's next entry"
    assert world.cache.tier_of("alice") is Tier.ELITE


def test_a_revocation_that_arrives_during_a_look_up_takes_nothing_but_the_sessions() -> None:
    world = World()
    world.cache.connect("alice")
    world.cache.asking(["alice"])

    world.cache.changed(session_revoked(1, "alice", 500.0))
    world.answer("alice", Tier.PRO, version=0, head=0)

    world.cache.beacon(EPOCH, 1)
    assert world.cache.tier_of("alice") is Tier.PRO
    assert world.cache.revoked("alice", 499.0)


def test_a_change_of_tier_and_a_revocation_during_one_look_up_both_count() -> None:
    world = World()
    world.cache.asking(["alice"])

    world.change("alice", Tier.ELITE, seq=1)
    world.cache.changed(session_revoked(2, "alice", 500.0))
    world.answer("alice", Tier.STARTER, version=0, head=0)

    world.cache.beacon(EPOCH, 2)
    assert world.cache.tier_of("alice") is Tier.ELITE
    assert world.cache.revoked("alice", 499.0)


def test_what_arrived_before_a_failed_look_up_is_not_used_for_the_next_one() -> None:
    world = World()
    world.cache.asking(["alice"])
    world.change("alice", Tier.ELITE, seq=1)
    world.cache.unanswered(["alice"])

    world.change("alice", Tier.PRO, seq=2)
    world.cache.asking(["alice"])
    world.answer("alice", Tier.PRO, version=2, head=2)

    assert world.cache.tier_of("alice") is Tier.PRO


@given(
    changes=st.lists(st.sampled_from([*Tier, "revoked"]), max_size=8),
    asked_at=st.integers(0, 8),
    read_at=st.integers(0, 8),
    answered_at=st.integers(0, 8),
    connected=st.booleans(),
)
def test_however_a_look_up_and_the_log_interleave_the_last_state_counts(
    changes: list[Tier | str], asked_at: int, read_at: int, answered_at: int, connected: bool
) -> None:
    """A look-up is sent after `asked_at` changes have arrived, reads the database at `read_at`, is answered at `answered_at`."""
    asked_at, read_at, answered_at = (min(at, len(changes)) for at in (asked_at, read_at, answered_at))
    answered_at, read_at = max(asked_at, answered_at), max(asked_at, read_at)
    world = World()
    if connected:
        world.cache.connect("alice")

    def state_at(seq: int) -> TierState:
        tiers = [(at, tier) for at, tier in enumerate(changes[:seq], 1) if isinstance(tier, Tier)]
        revoked = [100.0 + at for at, what in enumerate(changes[:seq], 1) if what == "revoked"]
        return TierState(
            tier=tiers[-1][1] if tiers else Tier.STARTER,
            version=seq if changes[:seq] else 0,
            tokens_valid_after=revoked[-1] if revoked else None,
        )

    def answer() -> None:
        world.cache.answered(TierLookup(epoch=EPOCH, head=read_at, tiers={"alice": state_at(read_at)}))

    for seq, what in enumerate([*changes, None], 1):
        if asked_at == seq - 1:
            world.cache.asking(["alice"])
        if answered_at == seq - 1:
            answer()
        if isinstance(what, Tier):
            world.change("alice", what, seq=seq)
        elif what is not None:
            world.cache.changed(session_revoked(seq, "alice", 100.0 + seq))
    world.cache.beacon(EPOCH, len(changes))

    last = state_at(len(changes))
    assert world.cache.tier_of("alice") is last.tier
    assert world.cache.revoked("alice", 0.0) is (last.tokens_valid_after is not None)
    assert not world.cache.revoked("alice", last.tokens_valid_after or 0.0)


# -- the lease ------------------------------------------------------------------------------------


def test_what_a_current_look_up_said_may_be_trusted_for_thirty_seconds() -> None:
    world = World()
    world.known()

    world.clock.advance(LEASE_SECONDS - 0.001)
    assert world.cache.tier_of("alice") is Tier.PRO
    world.clock.advance(0.002)
    assert world.cache.tier_of("alice") is Tier.STARTER
    assert world.cache.get("alice") is None


def test_a_look_up_behind_the_known_head_gives_no_lease() -> None:
    world = World()
    world.cache.beacon(EPOCH, 5)
    world.cache.asking(["alice"])

    world.answer("alice", Tier.PRO, version=1, head=4)

    assert not world.cache.trusted("alice")
    assert world.cache.tier_of("alice") is Tier.STARTER


def test_a_look_up_of_another_epoch_gives_no_lease() -> None:
    world = World()

    world.answer("alice", Tier.PRO, version=1, head=9, epoch="another")

    assert not world.cache.trusted("alice")


def test_a_beacon_renews_the_lease_of_everyone_when_nothing_is_missing() -> None:
    world = World()
    world.known()
    for _ in range(10):
        world.clock.advance(LEASE_SECONDS / 2)
        world.cache.beacon(EPOCH, 0)

    assert world.cache.tier_of("alice") is Tier.PRO
    assert world.cache.lease_left == LEASE_SECONDS


def test_a_beacon_that_shows_something_missing_renews_nothing() -> None:
    world = World()
    world.known()
    world.clock.advance(20)

    world.cache.beacon(EPOCH, 1)
    world.clock.advance(11)

    assert world.cache.tier_of("alice") is Tier.STARTER
    world.change("bob", Tier.PRO, seq=1)
    world.cache.beacon(EPOCH, 1)
    assert world.cache.tier_of("alice") is Tier.PRO


def test_a_beacon_of_another_epoch_renews_nothing() -> None:
    world = World()
    world.known()
    world.clock.advance(20)

    world.cache.beacon("another", 0)
    world.clock.advance(11)

    assert not world.cache.trusted("alice")


def test_a_lower_beacon_does_not_make_a_gap_go_away() -> None:
    world = World()
    world.cache.beacon(EPOCH, 3)

    world.cache.beacon(EPOCH, 0)

    assert world.cache.gap


# -- a new life of the log ------------------------------------------------------------------------


def test_a_new_epoch_ends_all_trust_at_once_and_its_low_versions_count() -> None:
    world = World()
    world.cache.connect("alice")
    world.known()
    for _ in range(5):
        world.change("alice", Tier.ELITE)
    world.cache.beacon(EPOCH, 5)

    world.cache.begin("epoch-2", 1)
    assert world.cache.tier_of("alice") is Tier.STARTER
    world.cache.asking(["alice"])
    world.answer("alice", Tier.PRO, version=1, head=1, epoch="epoch-2")

    assert world.cache.tier_of("alice") is Tier.PRO


def test_a_change_of_the_old_epoch_does_not_outrank_an_answer_of_the_new_one() -> None:
    world = World()
    world.cache.connect("alice")
    world.cache.asking(["alice"])
    world.change("alice", Tier.ELITE)

    world.cache.begin("epoch-2", 0)
    world.answer("alice", Tier.STARTER, version=0, head=0, epoch="epoch-2")

    assert world.cache.tier_of("alice") is Tier.STARTER


def test_revocations_outlive_a_new_epoch() -> None:
    world = World()
    world.cache.connect("alice")
    world.known()
    world.cache.changed(session_revoked(1, "alice", 500.0))

    world.cache.begin("epoch-2", 0)
    world.answer("alice", Tier.PRO, version=0, head=0, epoch="epoch-2")

    assert world.cache.revoked("alice", 499.0)


def test_beginning_in_the_same_epoch_keeps_trust() -> None:
    world = World()
    world.known()

    world.cache.begin(EPOCH, 0)

    assert world.cache.tier_of("alice") is Tier.PRO


# -- who is remembered ----------------------------------------------------------------------------


def test_only_connected_users_changes_are_told() -> None:
    world = World()
    world.known("alice")
    world.known("bob")
    world.cache.connect("alice")

    world.change("alice", Tier.ELITE)
    world.change("bob", Tier.ELITE)

    assert [told[0] for told in world.told] == ["alice"]
    assert world.cache.tier_of("bob") is Tier.ELITE


def test_idle_users_are_bounded_and_the_one_not_asked_for_longest_goes_first() -> None:
    world = World(max_idle=3)
    for user in ("a", "b", "c"):
        world.known(user)
    assert world.cache.get("a") is not None

    world.known("d")

    assert {user for user in "abcd" if world.cache.trusted(user)} == {"a", "c", "d"}


def test_connected_users_are_never_forgotten() -> None:
    world = World(max_idle=2)
    for number in range(10):
        world.cache.connect(f"user-{number}")
        world.known(f"user-{number}")
    for number in range(10):
        world.known(f"idle-{number}")

    assert all(world.cache.trusted(f"user-{number}") for number in range(10))
    assert len(world.cache) == 12


def test_idle_users_are_forgotten_on_demand_but_for_those_whose_sessions_were_revoked() -> None:
    world = World()
    for user in ("here", "away", "revoked"):
        world.cache.connect(user)
        world.known(user)
    world.cache.changed(session_revoked(1, "revoked", 100.0))
    world.cache.disconnect("away")
    world.cache.disconnect("revoked")

    world.cache.forget_idle()

    assert world.cache.tier_of("here") is Tier.PRO
    assert world.cache.get("away") is None
    assert world.cache.tier_of("away") is Tier.STARTER
    assert world.cache.revoked("revoked", 99.0)


def test_a_change_during_the_look_up_of_somebody_forgotten_counts() -> None:
    world = World()
    world.known("alice", Tier.ELITE)
    world.cache.asking(["alice"])
    world.cache.forget_idle()
    world.change("alice", Tier.STARTER)

    world.answer("alice", Tier.ELITE, version=0, head=0)

    assert world.cache.tier_of("alice") is Tier.STARTER


def test_a_user_is_connected_until_the_last_connection_is_gone() -> None:
    world = World(max_idle=0)
    world.cache.connect("alice")
    world.cache.connect("alice")
    world.known()

    world.cache.disconnect("alice")
    assert world.cache.trusted("alice")
    world.cache.disconnect("alice")

    assert len(world.cache) == 0


def test_a_user_who_left_before_being_known_leaves_nothing_behind() -> None:
    world = World(max_idle=0)
    world.cache.connect("alice")
    world.cache.asking(["alice"])
    world.cache.disconnect("alice")

    world.answer("alice", Tier.PRO, version=0, head=0)

    assert len(world.cache) == 0
    assert world.told == []


@pytest.mark.parametrize(
    "happens", [lambda world: world.cache.disconnect("alice"), lambda world: world.cache.connect("alice")]
)
def test_counting_questions(happens: Callable[[World], None]) -> None:
    world = World()
    world.cache.connect("alice")
    assert world.cache.get("alice") is None
    world.known()

    happens(world)

    assert world.cache.get("alice") is not None
    assert (world.cache.hits, world.cache.misses) == (1, 1)


# -- revocation -----------------------------------------------------------------------------------


def test_a_revocation_voids_older_tokens_only_and_leaves_the_tier() -> None:
    world = World()
    world.cache.connect("alice")
    world.known()

    world.cache.changed(session_revoked(1, "alice", 500.0))

    assert world.cache.revoked("alice", 499.9)
    assert not world.cache.revoked("alice", 500.0)
    assert world.cache.tier_of("alice") is Tier.PRO
    assert world.told[-1] == ("alice", Tier.PRO, Tier.PRO, "revoked")


def test_a_later_look_up_or_revocation_never_makes_a_void_token_valid_again() -> None:
    world = World()
    world.known()
    world.cache.changed(session_revoked(1, "alice", 500.0))

    world.cache.changed(session_revoked(2, "alice", 400.0))
    world.answer("alice", Tier.PRO, version=2, head=2, valid_after=None)

    assert world.cache.revoked("alice", 499.9)
