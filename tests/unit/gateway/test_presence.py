"""Who is connected where, and what limits make of it: the pure parts of several replicas, with reports carried by hand."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.gateway.doubles import Clock
from tiercast_gateway.connection_limits import EVICTION_SECONDS, EVICTIONS, ConnectionLimits
from tiercast_gateway.presence import EXPIRY_SECONDS, Presence
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.tiers import Tier


class Site:
    """One replica's limits, and the names of the connections it holds."""

    def __init__(
        self, name: str, limit: Callable[[str], int], monotonic: Clock, *, instance: str = "1", ahead: float = 0
    ) -> None:
        self.told: list[str] = []
        """Users whose connections were evicted, as the log says it."""
        self.presence = Presence(name, instance, clock=lambda: monotonic() + ahead, monotonic=monotonic)
        self.limits = ConnectionLimits(self.presence, limit, clock=monotonic, on_evicted=self.told.append)
        self.open: list[str] = []
        self.evicted: list[str] = []

    def connect(self, user: str, name: str, tier: Tier = Tier.PRO) -> bool:
        if not self.limits.admits(user):
            return False
        self.open.append(name)
        self.limits.opened(user, name, tier, lambda: self._evict(user, name))
        return True

    def leave(self, user: str, name: str) -> None:
        self.open.remove(name)
        self.presence.closed(user, name)

    def _evict(self, user: str, name: str) -> None:
        self.evicted.append(name)
        self.leave(user, name)


class Cluster:
    """Replicas that hear each other when `exchange` is called."""

    def __init__(self, *names: str, limit: int = 2, ahead: float = 0) -> None:
        self.clock, self.limit = Clock(1000.0), limit
        self.sites = {
            name: Site(name, lambda _user: self.limit, self.clock, ahead=ahead * number)
            for number, name in enumerate(names)
        }

    def __getitem__(self, name: str) -> Site:
        return self.sites[name]

    def exchange(self, *, lost: str | None = None) -> None:
        """Until there is no news: an eviction is news."""
        while any(site.presence.news for site in self.sites.values()):
            for name, site in self.sites.items():
                report = GatewayPresence.model_validate_json(
                    site.presence.report(full=False).model_dump_json(by_alias=True)
                )
                for other in self.sites.values():
                    if name != lost:
                        other.limits.heard(report)

    @property
    def open(self) -> list[str]:
        return sorted(name for site in self.sites.values() for name in site.open)


def test_the_oldest_makes_room_for_the_newest_on_the_same_replica() -> None:
    cluster = Cluster("a")
    for name in ("first", "second", "third"):
        cluster["a"].connect("u", name)
    assert (cluster["a"].open, cluster["a"].evicted) == (["second", "third"], ["first"])
    assert cluster["a"].told == ["u"]


def test_the_oldest_makes_room_wherever_it_is() -> None:
    cluster = Cluster("a", "b", "c")
    for site, name in (("a", "first"), ("b", "second"), ("c", "third")):
        cluster[site].connect("u", name)
        cluster["c"].connect("other", f"{name} of another")
        cluster.exchange()
    assert [name for name in cluster.open if "another" not in name] == ["second", "third"]
    assert cluster["a"].evicted == ["first"]


def test_a_newcomer_is_the_newest_whatever_the_clocks_say() -> None:
    cluster = Cluster("a", "b", ahead=100)
    cluster["b"].connect("u", "first")
    cluster.exchange()
    cluster["a"].connect("u", "second")
    cluster.exchange()
    cluster["a"].connect("u", "third")
    cluster.exchange()
    assert cluster.open == ["second", "third"]


def test_a_storm_over_three_replicas_ends_at_the_limit_after_one_exchange() -> None:
    cluster = Cluster("a", "b", "c", limit=5)
    cluster.exchange()
    for number in range(200):
        cluster["abc"[number % 3]].connect("u", f"{number:03}")
    assert len(cluster.open) <= 15, "before they have heard of each other, each keeps to the limit for itself"
    cluster.exchange()
    assert len(cluster.open) == 5
    assert [site.presence.count("u") for site in cluster.sites.values()] == [5, 5, 5]


def test_two_devices_that_push_each_other_out_are_damped_and_the_one_that_is_in_stays() -> None:
    cluster = Cluster("a", "b", limit=1)
    cluster["a"].connect("u", "phone")
    cluster.exchange()
    let_in = 0
    for turn in range(200):
        site, name = (("b", "laptop"), ("a", "phone"))[turn % 2]
        if name not in cluster[site].open:
            let_in += cluster[site].connect("u", name)
            cluster.exchange()
        cluster.clock.advance(0.01)
    assert let_in <= 2 * (EVICTIONS + 1)
    assert len(cluster.open) == 1
    cluster.clock.advance(EVICTION_SECONDS)
    cluster["a"].connect("u", "tablet")
    cluster.exchange()
    assert cluster.open == ["tablet"]


def test_a_replica_that_is_gone_is_forgotten_and_pushes_nobody_out_meanwhile() -> None:
    cluster = Cluster("a", "b")
    cluster["a"].connect("u", "lost")
    cluster["b"].connect("u", "living")
    cluster.exchange()
    cluster["b"].connect("u", "again")
    assert cluster["b"].open == ["living", "again"], "the oldest is the lost one, whoever still counts it"
    assert cluster["b"].presence.count("u") == 3
    cluster.clock.advance(EXPIRY_SECONDS + 1)
    cluster["b"].limits.sweep()
    assert cluster["b"].presence.count("u") == 2
    assert cluster["b"].presence.by_tier(cluster=True)[Tier.PRO] == 2


def told(cluster: Cluster, *, dead: str = "") -> None:
    """A tenth of a second later, whoever lives has told the others what is new, or that it lives."""
    cluster.clock.advance(0.1)
    for name, site in cluster.sites.items():
        if name != dead:
            report = site.presence.report(full=False)
            for other in cluster.sites.values():
                other.limits.heard(report)
    for site in cluster.sites.values():
        site.limits.sweep()


def test_what_a_killed_replica_held_pushes_no_living_device_out_when_it_comes_back_elsewhere() -> None:
    cluster = Cluster("a", "b", "c")
    cluster["b"].connect("u", "old device")
    told(cluster)
    cluster["a"].connect("u", "new device")
    told(cluster)
    cluster.clock.advance(0.01)
    assert cluster["c"].connect("u", "new device, come back")
    for _ in range(int(EXPIRY_SECONDS / 0.1) + 2):
        assert cluster["b"].open == ["old device"]
        assert cluster["c"].open == ["new device, come back"]
        told(cluster, dead="a")
    assert cluster["c"].presence.count("u") == 2
    cluster["c"].connect("u", "one too many")
    told(cluster, dead="a")
    told(cluster, dead="a")
    assert (cluster["b"].open, cluster["c"].open) == ([], ["new device, come back", "one too many"])


def test_all_devices_of_a_killed_replica_come_back_however_many_they_are() -> None:
    cluster = Cluster("a", "b", limit=10 * EVICTIONS)
    names = [str(number) for number in range(cluster.limit)]
    for name in names:
        cluster["a"].connect("u", name)
    told(cluster)
    cluster.clock.advance(0.01)
    assert all(cluster["b"].connect("u", name) for name in names), "nobody is refused for what is counted twice"
    told(cluster, dead="a")
    assert (cluster["b"].open, cluster["b"].evicted) == (names, [])


def test_a_device_that_leaves_one_replica_for_another_pushes_nobody_out() -> None:
    cluster = Cluster("a", "b")
    cluster["b"].connect("u", "old device")
    told(cluster)
    cluster["a"].connect("u", "new device")
    told(cluster)
    cluster.clock.advance(0.01)
    cluster["a"].leave("u", "new device")
    cluster["b"].connect("u", "new device, elsewhere")  # before b is told that it left a
    told(cluster)
    told(cluster)
    assert cluster["b"].open == ["old device", "new device, elsewhere"]


def test_one_too_many_is_ended_when_the_others_have_said_that_theirs_are_still_open() -> None:
    cluster = Cluster("a", "b")
    cluster["b"].connect("u", "first")
    told(cluster)
    cluster["a"].connect("u", "second")
    told(cluster)
    cluster.clock.advance(0.01)
    cluster["b"].connect("u", "third")
    assert cluster["b"].open == ["first", "third"], "the second may be gone"
    cluster["a"].limits.heard(cluster["b"].presence.report(full=False))
    assert cluster["a"].presence.news, (
        "it says that the second is still there, without waiting for its next sign of life"
    )
    told(cluster)
    assert cluster.open == ["second", "third"]
    assert not any(site.presence.news for site in cluster.sites.values()), "nothing more to be said"


@dataclass
class Life:
    """One connection: since when it is the user's, and until when its replica holds it."""

    opened_at: float
    ended_at: float = math.inf


class Witness:
    """Some replicas under any schedule, one of which may be killed, and who has really been open when."""

    def __init__(self, limit: int) -> None:
        self.cluster = Cluster("a", "b", "c", limit=limit)
        self.limit, self.dead = limit, ""
        self.lives: dict[str, Life] = {}
        told(self.cluster)

    def step(self, what: str, where: str) -> None:
        self.cluster.clock.advance(0.001)
        site, now = self.cluster[where], self.cluster.clock()
        if where == self.dead:
            return
        if what == "kill" and not self.dead:
            self.dead = where
            for name in site.open:
                self.lives[name].ended_at = now
        elif what == "leave" and site.open:
            self.lives[site.open[0]].ended_at = now
            site.leave("u", site.open[0])
        elif what == "open":
            name = str(len(self.lives))
            self.lives[name] = Life(now)
            if not site.connect("u", name):
                del self.lives[name]
        self.look()

    def tell(self) -> None:
        told(self.cluster, dead=self.dead)
        self.look()

    def look(self) -> None:
        """Whoever was pushed out just now was so by as many newer ones as are allowed, all open at one moment of its life."""
        evicted = {name for site in self.cluster.sites.values() for name in site.evicted}
        for name in evicted:
            life = self.lives[name]
            if life.ended_at == math.inf:
                newer = [other for other in self.lives.values() if other.opened_at > life.opened_at]
                assert any(
                    sum(other.opened_at <= at < other.ended_at for other in newer) >= self.limit
                    for at in (other.opened_at for other in newer)
                ), f"{name} was pushed out by what was not there"
        for name in evicted:
            self.lives[name].ended_at = min(self.lives[name].ended_at, self.cluster.clock())

    @property
    def living(self) -> list[str]:
        return [name for name, site in self.cluster.sites.items() if name != self.dead for name in site.open]


STEP = st.tuples(st.sampled_from(["open", "open", "open", "leave"]), st.sampled_from("abc"), st.sampled_from([1, 1, 0]))
"""What happens at which replica, and whether all hear of it before anything else happens."""


@settings(max_examples=200)
@given(
    limit=st.integers(1, 2),
    before=st.lists(STEP, min_size=2, max_size=6),
    killed=st.sampled_from("abc"),
    after=st.lists(STEP, min_size=1, max_size=6),
)
def test_nobody_is_pushed_out_by_connections_that_were_never_open_together_and_the_limit_holds_soon(
    limit: int, before: list[tuple[str, str, int]], killed: str, after: list[tuple[str, str, int]]
) -> None:
    witness = Witness(limit)
    for what, where, rounds in [*before, ("kill", killed, 0), *after, ("leave", "a", 3)]:
        witness.step(what, where)
        for _ in range(rounds):
            witness.tell()
    assert len(witness.living) <= limit


def test_a_replica_that_was_started_again_counts_anew() -> None:
    cluster = Cluster("a", "b")
    cluster["a"].connect("u", "before")
    cluster.exchange()
    cluster.sites["a"] = Site("a", lambda _user: 2, cluster.clock, instance="2")
    cluster.exchange()
    assert cluster["b"].presence.count("u") == 0


def test_whoever_is_new_is_told_everything() -> None:
    cluster = Cluster("a", "b")
    cluster["a"].connect("u", "first")
    cluster.exchange()
    cluster.sites["c"] = Site("c", lambda _user: 2, cluster.clock)
    cluster.exchange()
    assert cluster["c"].presence.count("u") == 1


def test_a_lost_report_is_made_good_by_the_next_full_one() -> None:
    cluster = Cluster("a", "b")
    cluster.exchange()
    cluster["a"].connect("u", "first")
    cluster.exchange(lost="a")
    assert cluster["b"].presence.count("u") == 0
    cluster["b"].limits.heard(cluster["a"].presence.report(full=True))
    assert cluster["b"].presence.count("u") == 1


def test_a_limit_that_sinks_ends_the_oldest() -> None:
    cluster = Cluster("a", "b", limit=3)
    for site, name in (("a", "first"), ("b", "second"), ("a", "third")):
        cluster[site].connect("u", name)
        cluster.exchange()
    cluster.limit = 1
    for site in cluster.sites.values():
        site.limits.enforce("u")
    cluster.exchange()
    assert cluster.open == ["third"]


def test_counts_are_of_one_replica_or_of_all() -> None:
    cluster = Cluster("a", "b", limit=9)
    cluster["a"].connect("u", "1")
    cluster["b"].connect("u", "2")
    cluster["b"].connect("v", "3", Tier.STARTER)
    cluster.exchange()
    presence = cluster["a"].presence
    assert presence.by_tier(cluster=False) == {Tier.STARTER: 0, Tier.PRO: 1, Tier.ELITE: 0}
    assert presence.by_tier(cluster=True) == {Tier.STARTER: 1, Tier.PRO: 2, Tier.ELITE: 0}
    assert (presence.active_users(cluster=False), presence.active_users(cluster=True)) == (1, 2)
    presence.moved("u", Tier.ELITE)
    cluster.exchange()
    assert cluster["b"].presence.by_tier(cluster=True)[Tier.ELITE] == 1
