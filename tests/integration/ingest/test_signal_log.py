"""The signal log on both databases: numbering, idempotency, batches, concurrent writers."""

import asyncio
from collections import Counter

import orjson
import pytest
from sqlalchemy import text

from tests.support.ingest import Submitter, submitted
from tests.support.producers import premium, standard, submission
from tiercast_ingest import ledger
from tiercast_ingest.domain.settlement import Stored
from tiercast_ingest.store import SignalStore
from tiercast_ingest.writer import SignalWriter
from tiercast_shared.contracts.signals import Feed, Signal
from tiercast_shared.errors import Rejected, StorageUnavailable
from tiercast_shared.eventlog.database import Database, Unstorable


async def test_signals_are_numbered_from_one_in_both_feeds(submitter: Submitter, store: SignalStore):
    await submitter.commit(standard(), premium())
    await submitter.commit(standard())
    head, entries = await store.entries_after(0, 10)
    assert [(entry.seq, entry.standard_seq) for entry in entries] == [(1, 1), (2, None), (3, 2)]
    assert (head.seq, head.standard_seq) == (3, 2)
    assert await ledger.verify(store) == ledger.Verdict(entries=3, standard_entries=2)


async def test_the_stored_bytes_are_what_is_announced(submitter: Submitter, store: SignalStore):
    sent = premium(symbol="btc/usd")
    (stored,) = await submitter.commit(sent)
    _, (entry,) = await store.entries_after(0, 10)
    (announced,) = submitter.announced
    assert isinstance(stored, Stored)
    assert announced.body == entry.body
    assert orjson.dumps(orjson.loads(entry.body)) == entry.body
    assert announced.headers == {"feed": "all", "symbol": "BTC/USD", "received_at": 1000.0}
    assert (announced.seq, announced.message_id, announced.correlation_id) == (1, stored.wire_id, "correlation")
    assert str(Signal.model_validate_json(entry.body).id) == stored.wire_id == entry.id
    _, (read_back,) = await store.events_after(0, 10)
    assert read_back == announced


async def test_a_standard_event_carries_its_place_in_the_standard_feed(submitter: Submitter):
    await submitter.commit(premium(), standard())
    assert [event.headers.get("standard_seq") for event in submitter.announced] == [None, 1]
    assert [event.headers["feed"] for event in submitter.announced] == ["all", "standard"]


async def test_the_text_that_was_hashed_is_kept(submitter: Submitter, store: SignalStore):
    sent = submitted(standard(confidence=7))
    await submitter.writer.commit([sent])
    _, (entry,) = await store.entries_after(0, 1)
    assert entry.hashed_text == sent.signal.hashed_text


async def test_a_changed_copy_in_a_later_batch_is_a_conflict(submitter: Submitter, store: SignalStore):
    await submitter.commit(standard(signal_id="s", entry_price=1.5))
    (changed,) = await submitter.commit(standard(signal_id="s", entry_price=2.5))
    assert isinstance(changed, Rejected)
    assert (changed.status, changed.code) == (409, "conflict")
    assert (await store.head()).seq == 1


async def test_the_same_content_again_gets_the_first_ids(submitter: Submitter, store: SignalStore):
    sent = standard()
    (first,) = await submitter.commit(sent)
    (again,) = await submitter.commit(sent)
    assert isinstance(first, Stored)
    assert isinstance(again, Stored)
    assert (again.wire_id, again.seq, again.duplicate) == (first.wire_id, first.seq, True)
    assert (await store.head()).seq == 1
    assert len(submitter.announced) == 1


async def test_names_of_producers_do_not_meet_and_are_compared_byte_for_byte(submitter: Submitter, store: SignalStore):
    names = ["s", "S", "s ", "\u00df", "ss", "\u00e9", "e\u0301"]
    await submitter.commit(*(submission(signal_id=name) for name in names))
    await submitter.commit(submission(signal_id="s"), producer="other")
    assert (await store.head()).seq == len(names) + 1


async def test_a_rejected_signal_harms_nothing_else_in_its_batch(submitter: Submitter, store: SignalStore):
    await submitter.commit(standard(signal_id="taken"))
    before, refused, after = await submitter.commit(standard(), standard(signal_id="taken"), premium())
    assert isinstance(before, Stored)
    assert isinstance(refused, Rejected)
    assert isinstance(after, Stored)
    assert [before.seq, after.seq] == [2, 3]
    assert (await ledger.verify(store)).broken_at is None


async def test_a_rollback_leaves_no_gap(submitter: Submitter, store: SignalStore, database: Database):
    await submitter.commit(standard())
    broken = submitted(standard())
    object.__setattr__(broken, "correlation_id", "\ud800")  # what no check upstream would let through
    with pytest.raises(Unstorable):
        await submitter.writer.commit([submitted(standard()), broken])
    await submitter.commit(standard())
    _, entries = await store.entries_after(0, 10)
    assert [entry.seq for entry in entries] == [1, 2]
    assert len(submitter.announced) == 2
    assert await ledger.verify(store) == ledger.Verdict(entries=2, standard_entries=2)


async def test_a_head_that_disagrees_with_the_log_is_no_producers_fault(submitter: Submitter, database: Database):
    await submitter.commit(standard(), standard())
    async with database.writing() as session:
        await session.exec(text("UPDATE signal_log_head SET seq = 1"))
    with pytest.raises(StorageUnavailable):
        await submitter.commit(standard())


async def test_concurrent_writers_make_one_log_without_gaps_or_forks(database_url: str, store: SignalStore):
    writers, batches, size = 4, 10, 5
    shared = [standard() for _ in range(batches)]

    async def write(writer: SignalWriter) -> list[Stored | Exception]:
        outcomes: list[Stored | Exception] = []
        for number in range(batches):
            own = [premium() if place % 2 else standard() for place in range(size)]
            outcomes += await writer.commit([submitted(each) for each in [*own, shared[number]]])
        return outcomes

    async with (
        Database.open(database_url) as one,
        Database.open(database_url) as two,
        Database.open(database_url) as three,
        Database.open(database_url) as four,
    ):
        engines = [SignalWriter(database, lambda _head, _events: None) for database in (one, two, three, four)]
        outcomes = [outcome for each in await asyncio.gather(*map(write, engines)) for outcome in each]

    stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
    assert len(stored) == len(outcomes)
    new = writers * batches * size + batches
    assert Counter(outcome.duplicate for outcome in stored) == {False: new, True: (writers - 1) * batches}
    assert sorted(outcome.seq for outcome in stored if not outcome.duplicate) == list(range(1, new + 1))
    verdict = await ledger.verify(store)
    assert (verdict.entries, verdict.broken_at) == (new, None)
    _, entries = await store.entries_after(0, 1000)
    times = [orjson.loads(entry.body)["server_timestamp"] for entry in entries]
    assert times == sorted(set(times))


async def test_one_hundred_identical_submissions_at_once_make_one_row(database_url: str, store: SignalStore):
    sent = standard()

    async def submit(database: Database) -> Stored | Exception:
        (outcome,) = await SignalWriter(database, lambda _head, _events: None).commit([submitted(sent)])
        return outcome

    async with Database.open(database_url) as one, Database.open(database_url) as two:
        outcomes = await asyncio.gather(*(submit(database) for database in (one, two) * 50))
    assert len({outcome.wire_id for outcome in outcomes if isinstance(outcome, Stored)}) == 1
    assert sum(not outcome.duplicate for outcome in outcomes if isinstance(outcome, Stored)) == 1
    assert (await store.head()).seq == 1


async def test_the_standard_feed_is_read_by_global_positions(submitter: Submitter, store: SignalStore):
    await submitter.commit(standard(), premium(), premium(), standard(), premium())
    _, entries = await store.entries_after(1, 10, Feed.STANDARD)
    assert [(entry.seq, entry.standard_seq) for entry in entries] == [(4, 2)]
    head, none = await store.entries_after(4, 10, Feed.STANDARD)
    assert (head.seq, head.standard_seq, list(none)) == (5, 2, [])
    _, before = await store.entries_before(4, 1, Feed.STANDARD)
    assert [entry.seq for entry in before] == [1]


async def test_a_log_is_read_in_pages(submitter: Submitter, store: SignalStore):
    await submitter.commit(*(standard() for _ in range(7)))
    seqs: list[int] = []
    while len(page := (await store.entries_after(seqs[-1] if seqs else 0, 3))[1]) > 0:
        assert len(page) <= 3
        seqs += [entry.seq for entry in page]
    assert seqs == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("damage", "broken_at", "problem"),
    [
        ("UPDATE signal_log SET body = CAST('{}' AS {bytes}) WHERE seq = 3", 3, "all signals does not follow"),
        ("DELETE FROM signal_log WHERE seq = 2", 2, "missing"),
        ("DELETE FROM signal_log WHERE seq = 4", 4, "missing"),
        ("UPDATE signal_log SET standard_seq = 9 WHERE seq = 4", 4, "position in the standard feed is 9"),
        ("UPDATE signal_log SET standard_chain = chain WHERE seq = 4", 4, "standard signals does not follow"),
        ("UPDATE signal_log_head SET chain = standard_chain", 4, "another link of the chain of all signals"),
        ("UPDATE signal_log_head SET standard_seq = 1", 4, "another end of the chain of standard signals"),
    ],
)
async def test_the_first_position_that_was_tampered_with_is_named(
    submitter: Submitter, store: SignalStore, database: Database, damage: str, broken_at: int, problem: str
):
    await submitter.commit(standard(), premium(), standard(), standard())
    await tamper(database, damage)
    verdict = await ledger.verify(store)
    assert verdict.broken_at == broken_at
    assert problem in (verdict.problem or "")


async def tamper(database: Database, damage: str) -> None:
    """Change the log as only somebody who rules the database can: past whatever guards its rows."""
    async with database.writing() as session:
        if database.engine.dialect.name == "postgresql":
            await session.exec(text("SET LOCAL session_replication_role = replica"))  # triggers do not fire
            await session.exec(text(damage.replace("{bytes}", "bytea")))
            return
        for trigger in (await session.exec(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))).scalars():
            await session.exec(text(f"DROP TRIGGER {trigger}"))
        await session.exec(text(damage.replace("{bytes}", "blob")))
