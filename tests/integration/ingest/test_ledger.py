"""The ledger on both databases: rows that cannot be changed, verification, export, proofs, archives."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from tests.integration.ingest.test_signal_log import tamper
from tests.support.ingest import SERVICE_KEY, HttpIngest, Submitter, http_ingest
from tests.support.producers import Submission, hashed_text, premium, standard
from tiercast_ingest import ledger, ledger_api, ledger_lines
from tiercast_ingest.app import PACKAGE
from tiercast_ingest.archive import CannotArchive, archive
from tiercast_ingest.domain.chain_walk import Break, Verdict
from tiercast_ingest.domain.settlement import Stored
from tiercast_ingest.main import main
from tiercast_ingest.store import SignalStore
from tiercast_shared.contracts.ledger import LedgerHead, LedgerVerification, SignalProof
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.errors import Rejected, StorageUnavailable
from tiercast_shared.eventlog.chain import link
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.migrations import migrate

SCRIPT = Path(__file__).parents[3] / "docs" / "verify_ledger.py"
KEY = {"X-Service-Key": SERVICE_KEY}


@pytest.fixture
async def ingest(database: Database) -> AsyncIterator[HttpIngest]:
    async with http_ingest(database) as ingest:
        yield ingest


@pytest.fixture
async def sent(submitter: Submitter) -> list[Submission]:
    """Ten signals in the log, every third premium: positions 3, 6 and 9."""
    submissions = [premium() if number % 3 == 0 else standard() for number in range(1, 11)]
    await submitter.commit(*submissions)
    return submissions


async def mark_published(database: Database, seq: int = 10) -> None:
    async with database.writing() as session:
        await session.exec(text(f"UPDATE signal_log_publisher SET published = {seq}"))


async def get(ingest: HttpIngest, path: str) -> bytes:
    return (await ingest.client.get(path, headers=KEY)).raise_for_status().content


def outsider(lines: bytes, file: Path) -> str:
    """What the published script says of an export."""
    file.write_bytes(lines)
    done = subprocess.run([sys.executable, SCRIPT, file], capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stdout}{done.stderr}"


async def test_the_head_names_the_end_of_both_chains(
    ingest: HttpIngest, submitter: Submitter, sent, store: SignalStore
):
    head = LedgerHead.model_validate_json(await get(ingest, "/api/v1/ledger/head"))
    _, entries = await store.entries_after(0, 100)
    assert (head.seq, head.chain) == (10, entries[-1].chain.hex())
    assert (head.standard_seq, head.standard_chain) == (7, entries[-1].standard_chain.hex())
    assert head.floor == 0


async def test_a_verification_does_a_bounded_piece_of_work_and_says_where_to_go_on(
    ingest: HttpIngest, sent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger_api, "MAX_VERIFIED", 4)
    monkeypatch.setattr(ledger, "PAGE", 3)
    pieces, start = [], 1
    while start is not None:
        answer = await get(ingest, f"/api/v1/ledger/verify?from={start}")
        pieces.append(LedgerVerification.model_validate_json(answer))
        start = pieces[-1].next
    assert [(piece.first, piece.last, piece.entries, piece.standard_entries) for piece in pieces] == [
        (1, 4, 4, 3),
        (5, 8, 4, 3),
        (9, 10, 2, 1),
    ]
    assert all(piece.all.broken_at is None and piece.standard.broken_at is None for piece in pieces)


@pytest.mark.parametrize(("query", "first", "last"), [("from=4&to=6", 4, 6), ("to=2", 1, 2), ("from=99", 11, 10)])
async def test_a_part_of_the_log_can_be_verified(ingest: HttpIngest, sent, query: str, first: int, last: int):
    answer = LedgerVerification.model_validate_json(await get(ingest, f"/api/v1/ledger/verify?{query}"))
    assert (answer.first, answer.last, answer.entries, answer.next) == (first, last, last - first + 1, None)
    assert (answer.all.broken_at, answer.standard.broken_at) == (None, None)


async def test_the_first_break_of_each_chain_is_named(ingest: HttpIngest, sent, database: Database):
    await tamper(database, "UPDATE signal_log SET body = CAST('{}' AS {bytes}) WHERE seq IN (6, 8)")
    answer = LedgerVerification.model_validate_json(await get(ingest, "/api/v1/ledger/verify"))
    assert answer.all.broken_at == 6, "a premium signal: only the chain of all signals holds it"
    assert answer.standard.broken_at == 8
    assert answer.entries == 10
    behind = LedgerVerification.model_validate_json(await get(ingest, "/api/v1/ledger/verify?from=9"))
    assert (behind.all.broken_at, behind.standard.broken_at) == (None, None)


async def test_a_start_whose_predecessor_is_gone_is_broken_there(store: SignalStore, sent, database: Database):
    await tamper(database, "DELETE FROM signal_log WHERE seq = 4")
    missing = Break(4, "the entry is missing")
    assert (await ledger.verify_range(store, 5)).verdict == Verdict(0, 0, missing, missing)


@pytest.mark.parametrize(
    "path", ["/api/v1/ledger/head", "/api/v1/ledger/verify", "/api/v1/ledger/entries", "/api/v1/log/x"]
)
async def test_the_ledger_is_for_services_only(ingest: HttpIngest, path: str):
    assert (await ingest.client.get(path)).status_code == 401


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE signal_log SET body = chain WHERE seq = 3",
        "UPDATE signal_log SET standard_seq = NULL",
        "DELETE FROM signal_log WHERE seq = 10",
        "DELETE FROM signal_log",
        "INSERT OR REPLACE INTO signal_log SELECT * FROM signal_log WHERE seq = 3",
        "TRUNCATE signal_log",
    ],
)
async def test_the_database_refuses_to_change_or_delete_an_entry(
    store: SignalStore, sent, database: Database, damage: str
):
    if (database.engine.dialect.name == "postgresql") is ("OR REPLACE" in damage) or (
        database.engine.dialect.name == "sqlite" and "TRUNCATE" in damage
    ):
        damage = "DELETE FROM signal_log WHERE seq < 3"  # as far as the other dialect goes
    with pytest.raises(StorageUnavailable, match=r"signal_log is append-only: .*`tiercast-ingest ledger archive`"):
        async with database.writing() as session:
            await session.exec(text(damage))
    assert await ledger.verify(store) == Verdict(10, 7)


@pytest.mark.parametrize("feed", Feed)
async def test_an_outsider_can_verify_an_export(store: SignalStore, sent, tmp_path: Path, feed: Feed):
    lines = [line async for line in ledger_lines.lines(store, feed)]
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, (10 if feed is Feed.ALL else 7) + 1))
    assert outsider(b"".join(lines), tmp_path / "export").startswith("0 ")
    forged = [line.replace(b"AAPL", b"AAPX") if number == 4 else line for number, line in enumerate(lines)]
    assert "broken at seq 5" in outsider(b"".join(forged), tmp_path / "forged")


async def test_the_entries_of_a_chain_are_given_in_pages(ingest: HttpIngest, sent, store: SignalStore):
    whole = b"".join([line async for line in ledger_lines.lines(store, Feed.STANDARD)])
    pages, after = [], 0
    while page := await get(ingest, f"/api/v1/ledger/entries?feed=standard&after={after}&limit=3"):
        pages.append(page)
        after = json.loads(page.splitlines()[-1])["seq"]
    assert [len(page.splitlines()) for page in pages] == [3, 3, 1]
    assert b"".join(pages) == whole


async def test_one_signal_comes_with_all_that_proves_its_place(ingest: HttpIngest, sent, store: SignalStore):
    _, entries = await store.entries_after(0, 100)
    for number, entry in enumerate(entries):
        raw = await get(ingest, f"/api/v1/log/{entry.id}")
        assert entry.body in raw, "the stored bytes themselves"
        proof = SignalProof.model_validate_json(raw)
        assert (proof.seq, proof.standard_seq) == (entry.seq, entry.standard_seq)
        assert proof.hashed_text == hashed_text(sent[number])
        assert hashlib.sha256(proof.hashed_text.encode()).hexdigest() == proof.data.hash
        assert link(bytes.fromhex(proof.all.before), entry.body).hex() == proof.all.after == entry.chain.hex()
        if entry.standard_chain is None:
            assert proof.standard is None
        else:
            assert proof.standard.after == entry.standard_chain.hex()
            assert link(bytes.fromhex(proof.standard.before), entry.body).hex() == proof.standard.after


async def test_an_unknown_signal_has_no_proof(ingest: HttpIngest):
    answer = await ingest.client.get("/api/v1/log/nobody", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_signal")


async def test_an_archive_holds_the_entries_and_the_log_goes_on_from_its_checkpoint(
    database: Database, store: SignalStore, submitter: Submitter, ingest: HttpIngest, sent, tmp_path: Path
):
    _, before = await store.entries_after(0, 100)
    await mark_published(database)
    assert await archive(database, 7, tmp_path / "one") == 6
    assert await ledger.verify(store) == Verdict(4, 3)
    await submitter.commit(standard(), premium())
    await mark_published(database, 12)
    assert await archive(database, 9, tmp_path / "two") == 2
    assert await ledger.verify(store) == Verdict(4, 2)

    archived = [json.loads(line) for name in ("one", "two") for line in (tmp_path / name).read_text().splitlines()]
    bodies = {line["seq"]: line["body"] for line in archived if "body" in line}
    assert bodies == {entry.seq: entry.body.decode() for entry in before[:8]}
    assert outsider((tmp_path / "one").read_bytes(), tmp_path / "first").startswith("0 ")
    assert outsider((tmp_path / "two").read_bytes(), tmp_path / "second").startswith("0 ")
    for feed in Feed:
        lines = b"".join([line async for line in ledger_lines.lines(store, feed)])
        assert "body" not in json.loads(lines.splitlines()[0])
        assert outsider(lines, tmp_path / feed).startswith("0 ")

    page = json.loads(await get(ingest, "/api/v1/log?after=2"))
    assert (page["floor"], page["head"]) == (8, 12)
    assert [entry["seq"] for entry in page["entries"]] == [9, 10, 11, 12]
    gone = await ingest.client.get(f"/api/v1/log/{before[0].id}", headers=KEY)
    assert (gone.status_code, gone.json()["code"]) == (410, "archived")
    first = SignalProof.model_validate_json(await get(ingest, f"/api/v1/log/{before[8].id}"))
    assert first.all.before == before[7].chain.hex()
    answer = LedgerVerification.model_validate_json(await get(ingest, "/api/v1/ledger/verify?from=1"))
    assert (answer.floor, answer.first, answer.last) == (8, 9, 12)


async def test_an_archived_signal_is_still_recognised(
    database: Database, store: SignalStore, submitter: Submitter, sent, tmp_path: Path
):
    _, (first, *_) = await store.entries_after(0, 1)
    await mark_published(database)
    await archive(database, 9, tmp_path / "out")
    again, changed, new = await submitter.commit(
        sent[0], standard(signal_id=sent[1]["signal_id"], entry_price=0.5), standard()
    )
    assert isinstance(again, Stored)
    assert (again.wire_id, again.seq, again.duplicate) == (first.id, 1, True)
    assert isinstance(changed, Rejected)
    assert isinstance(new, Stored)
    assert (new.seq, new.duplicate) == (11, False)


async def test_nothing_is_archived_that_should_stay(
    database: Database, store: SignalStore, sent, tmp_path: Path, submitter: Submitter
):
    out = tmp_path / "out"
    await mark_published(database, 5)
    with pytest.raises(CannotArchive, match="only entries up to 5 are published"):
        await archive(database, 7, out)
    with pytest.raises(CannotArchive, match="nothing to archive"):
        await archive(database, 1, out)
    out.write_text("something of value")
    with pytest.raises(CannotArchive, match="exists already"):
        await archive(database, 5, out)
    with pytest.raises(CannotArchive, match="No such file or directory"):
        await archive(database, 5, tmp_path / "no" / "out")
    assert out.read_text() == "something of value"
    await tamper(database, "UPDATE signal_log SET body = CAST('{}' AS {bytes}) WHERE seq = 2")
    with pytest.raises(CannotArchive, match="broken at seq 2"):
        await archive(database, 5, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    assert len((await store.entries_after(0, 100))[1]) == 10


async def test_an_archive_that_was_interrupted_is_finished_by_the_next(
    database: Database, store: SignalStore, submitter: Submitter, sent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await mark_published(database)

    async def interrupted(_database: Database, floor: int) -> None:
        if floor:
            raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr("tiercast_ingest.archive._delete_archived", interrupted)
        with pytest.raises(asyncio.CancelledError):
            await archive(database, 5, tmp_path / "one")
    assert await ledger.verify(store) == Verdict(6, 4), "the log begins behind the checkpoint already"
    (again,) = await submitter.commit(sent[0])
    assert isinstance(again, Stored)
    assert again.duplicate
    assert await archive(database, 7, tmp_path / "two") == 2
    head, entries = await store.entries_after(0, 100)
    assert (head.floor, entries[0].seq) == (6, 7)


async def test_signals_are_taken_while_others_are_archived(
    database: Database, store: SignalStore, submitter: Submitter, sent, tmp_path: Path
):
    await mark_published(database)
    copies = asyncio.gather(*(submitter.commit(each, standard()) for each in sent))
    await archive(database, 9, tmp_path / "out")
    outcomes = [outcome for batch in await copies for outcome in batch]
    assert all(isinstance(outcome, Stored) for outcome in outcomes)
    assert [outcome.duplicate for outcome in outcomes if isinstance(outcome, Stored)] == [True, False] * 10
    assert await ledger.verify(store) == Verdict(12, 11)


def test_the_ledger_is_exported_and_archived_from_the_command_line(sqlite_url: str, tmp_path: Path):
    async def fill() -> None:
        async with Database.open(sqlite_url) as database:
            await migrate(database, PACKAGE)
            await Submitter(database).commit(*(premium() if number == 3 else standard() for number in range(1, 6)))
            await mark_published(database, 5)

    def command(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["ledger", *arguments], env={"INGEST_DATABASE_URL": sqlite_url})
        assert result.exit_code == status, result.output
        return result.output

    asyncio.run(fill())
    assert command("verify", "--from", "2", "--to", "4") == "ok: 3 signals, 2 of them in the standard feed\n"
    assert outsider(command("export").encode(), tmp_path / "all").startswith("0 ")
    out = tmp_path / "standard"
    assert command("export", "--feed", "standard", "--out", str(out)) == f"4 lines written to {out}\n"
    assert outsider(out.read_bytes(), tmp_path / "copy").startswith("0 ")
    archived = tmp_path / "archived"
    assert command("archive", "--before", "3", "--out", str(archived)) == f"2 signals moved to {archived}\n"
    assert "nothing to archive before 3" in command("archive", "--before", "3", "--out", str(out), status=78)
    assert command("verify") == "ok: 3 signals, 2 of them in the standard feed\n"
