"""The tiers log and its users, on both kinds of database."""

import asyncio
import random
from collections.abc import Iterable

import pytest

from tests.support.tiers import ORIGIN, assert_sound, replay, set_tier
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.database import Database, Unstorable
from tiercast_shared.eventlog.lease import PublisherLease
from tiercast_shared.eventlog.migrations import migrate
from tiercast_shared.eventlog.models import Head
from tiercast_shared.eventlog.publication import Publication
from tiercast_shared.eventlog.publisher import LogEvent
from tiercast_shared.eventlog.writer import BatchWriter
from tiercast_tiers.app import PACKAGE
from tiercast_tiers.domain import Change, Outcome, RevokeSessions, SessionsRevoked, TierSet, UserState
from tiercast_tiers.store import TierStore
from tiercast_tiers.tables import TierLogPublisher
from tiercast_tiers.writer import TierLogWriter

TIERS = list(Tier)


async def test_a_batch_is_numbered_in_order_and_read_back_as_it_was_written(store, writer):
    outcomes = await writer.commit(
        [set_tier("alice", Tier.PRO), set_tier("bob", Tier.ELITE), RevokeSessions("alice", ORIGIN)]
    )
    head, entries = await store.entries_after(0, 100)
    assert head.seq == 3
    assert_sound(entries)
    assert [(e.type, e.user_id, e.tier) for e in entries] == [
        ("tier.changed", "alice", "pro"),
        ("tier.changed", "bob", "elite"),
        ("session.revoked", "alice", None),
    ]
    revoked = outcomes[2]
    assert isinstance(revoked, SessionsRevoked)
    alice = await store.user("alice")
    assert (alice.tier, alice.version, alice.tokens_valid_after) == (Tier.PRO, 1, revoked.tokens_valid_after)
    assert await store.users(["alice", "bob", "nobody"]) == (head, replay(entries))


async def test_two_changes_of_one_user_in_a_batch_both_count(store, writer):
    await writer.commit([set_tier("alice", Tier.PRO), set_tier("alice", Tier.ELITE), set_tier("alice", Tier.ELITE)])
    _, entries = await store.entries_after(0, 100)
    assert [(e.previous_tier, e.tier) for e in entries] == [("starter", "pro"), ("pro", "elite")]
    assert (await store.user("alice")).version == 2


async def test_setting_the_tier_a_user_has_writes_nothing(store, writer):
    await writer.commit([set_tier("alice", Tier.PRO)])
    before = await store.user("alice")
    assert await writer.commit([set_tier("alice", Tier.PRO), set_tier("nobody", Tier.STARTER)]) == [
        TierSet("alice", Tier.PRO, before, changed=False),
        TierSet("nobody", Tier.STARTER, UserState(), changed=False),
    ]
    assert (await store.head()).seq == 1
    assert await store.user("alice") == before


async def test_user_ids_are_told_apart_byte_for_byte(store, writer):
    names = ["Zoë", "Zoe\u0308", "zoë", "a/b", "a%2Fb", "auth0|1", "x" * 255, "'; DROP TABLE users; --"]
    await writer.commit([set_tier(name, Tier.PRO) for name in names])
    for version, name in enumerate(names, 1):
        assert (await store.user(name)).version == version
    assert await store.user("ZOË") == UserState()


async def test_what_is_committed_is_announced_with_the_bytes_that_were_stored(database: Database, store):
    heard: list[tuple[Head, list[LogEvent]]] = []

    def listen(head: Head, events: Iterable[LogEvent]) -> None:
        heard.append((head, list(events)))

    writer = TierLogWriter(database, listen)
    await writer.commit([set_tier("alice", Tier.PRO), set_tier("bob", Tier.PRO)])
    await writer.commit([set_tier("bob", Tier.PRO)])
    assert heard == [await store.events_after(0, 10)]
    head, events = heard[0]
    assert [event.message_id for event in events] == [f"{head.epoch}-1", f"{head.epoch}-2"]


async def test_a_failed_batch_leaves_no_gap(database: Database, store, writer):
    def broken_clock() -> float:
        raise RuntimeError("no time")

    await writer.commit([set_tier("alice", Tier.PRO)])
    with pytest.raises(RuntimeError):
        await TierLogWriter(database, lambda _h, _e: None, clock=broken_clock).commit([set_tier("bob", Tier.PRO)])
    await writer.commit([set_tier("carol", Tier.PRO)])
    _, entries = await store.entries_after(0, 100)
    assert [entry.user_id for entry in entries] == ["alice", "carol"]
    assert_sound(entries)


async def test_a_value_that_the_database_refuses_harms_only_its_own_change(postgres_url: str):
    async with Database.open(postgres_url) as database:
        await migrate(database, PACKAGE)
        writer = BatchWriter[Change, Outcome](TierLogWriter(database, lambda _h, _e: None).commit)
        changes = [set_tier("alice", Tier.PRO), set_tier("bob", Tier.PRO, reason="\x00"), set_tier("carol", Tier.PRO)]
        waiting = [asyncio.ensure_future(writer.submit(change)) for change in changes]
        running = asyncio.create_task(writer.run())
        alice, bob, carol = await asyncio.gather(*waiting, return_exceptions=True)
        running.cancel()
        assert isinstance(alice, TierSet)
        assert isinstance(bob, Unstorable)
        assert isinstance(carol, TierSet)
        _, entries = await TierStore(database).entries_after(0, 10)
        assert_sound(entries)
        assert [entry.user_id for entry in entries] == ["alice", "carol"]


async def test_writers_on_several_engines_neither_fork_the_log_nor_leave_gaps(database_url, store):
    """Each has an engine of its own, as replicas do; how they interleave is the database's affair."""
    replicas, batches, users = 4, 15, 6
    changed = 0

    async def replica(number: int) -> None:
        nonlocal changed
        chance = random.Random(number)
        async with Database.open(database_url) as database:
            writer = TierLogWriter(database, lambda _head, _events: None)
            for _ in range(batches):
                batch = [set_tier(f"user-{chance.randrange(users)}", chance.choice(TIERS)) for _ in range(5)]
                outcomes = await writer.commit(batch)
                changed += sum(isinstance(outcome, TierSet) and outcome.changed for outcome in outcomes)

    await asyncio.gather(*(replica(number) for number in range(replicas)))
    head, entries = await store.entries_after(0, 1000)
    assert_sound(entries)
    assert head.seq == len(entries) == changed > replicas * batches
    assert (await store.users([f"user-{n}" for n in range(users)]))[1] == replay(entries)


async def test_a_lookup_shows_exactly_what_the_log_says_at_its_head(database_url, store, writer):
    """Lookups run beside a writer; each must equal a replay of the log up to the head that it names."""
    names = [f"user-{n}" for n in range(20)]
    seen: list[tuple[Head, dict[str, UserState]]] = []
    done = asyncio.Event()

    async def write() -> None:
        chance = random.Random(7)
        for _ in range(60):
            await writer.commit([set_tier(name, chance.choice(TIERS)) for name in chance.sample(names, 10)])
            await writer.commit([RevokeSessions(chance.choice(names), ORIGIN)])
        done.set()

    async def look() -> None:
        async with Database.open(database_url) as database:
            reader = TierStore(database)
            while not done.is_set():
                seen.append(await reader.users(names))

    await asyncio.gather(write(), look(), look())
    _, entries = await store.entries_after(0, 1000)
    heads = {head.seq for head, _ in seen}
    assert len(heads) > 10, "the lookups did not run beside the writer"
    for head, users in seen:
        assert users == replay(entries[: head.seq])


async def test_pages_of_the_log_follow_each_other_and_end_at_the_head(store, writer):
    await writer.commit([set_tier(f"user-{n}", Tier.PRO) for n in range(7)])
    pages = [[entry.seq for entry in (await store.entries_after(after, 3))[1]] for after in (0, 3, 6, 7, 1000)]
    assert pages == [[1, 2, 3], [4, 5, 6], [7], [], []]
    assert (await store.entries_after(1000, 3))[0].seq == 7


async def test_history_is_newest_first_of_one_user_and_pages_by_version(store, writer):
    for tier in (Tier.PRO, Tier.ELITE, Tier.STARTER):
        await writer.commit([set_tier("alice", tier), set_tier("bob", tier), RevokeSessions("alice", ORIGIN)])
    newest = await store.history("alice", before=None, limit=2)
    assert [(entry.previous_tier, entry.tier) for entry in newest] == [("elite", "starter"), ("pro", "elite")]
    older = await store.history("alice", before=newest[-1].seq, limit=2)
    assert [(entry.previous_tier, entry.tier) for entry in older] == [("starter", "pro")]
    assert await store.history("nobody", before=None, limit=2) == []


async def test_publication_names_the_holder_of_a_live_lease_only(database: Database, store, writer):
    await writer.commit([set_tier("alice", Tier.PRO)])
    assert await store.publication() == Publication(head=1, published=0, holder=None)
    lease = PublisherLease(database, TierLogPublisher, "replica-1")
    assert await lease.take() == 0
    await lease.save(1, 0)
    assert await store.publication() == Publication(head=1, published=1, holder="replica-1")
    await lease.release()
    assert (await store.publication()).holder is None
