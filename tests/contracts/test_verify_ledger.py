"""`docs/verify_ledger.py`, run as a client runs it, on exports made from the project's own chain."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from tests.support.ingest import Submitter
from tests.support.producers import hashed_text, premium, standard
from tiercast_ingest import commands
from tiercast_ingest.domain.settlement import LogEnd, Settlement, Submission
from tiercast_ingest.domain.submission import parse
from tiercast_ingest.settings import DatabaseSettings
from tiercast_ingest.tables import SignalLogPublisher
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.eventlog.chain import GENESIS
from tiercast_shared.eventlog.lease import PublisherLease

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "verify_ledger.py"
START = LogEnd(0, GENESIS, 0, GENESIS, 0.0)

Lines = list[dict]


def settled(submissions):
    settlement = Settlement(START, {}, 1_795_403_761.5)
    for number, each in enumerate(submissions):
        settlement.settle(Submission("demo", parse(orjson.dumps(each)), f"c-{number}", 0.0))
    return settlement.entries


@pytest.fixture(scope="module")
def submissions():
    return [
        standard(),
        premium(),
        standard(symbol="brk.b"),
        premium(reasoning="Überkauft 📈"),
        standard(stop_price=None),
    ]


@pytest.fixture(scope="module")
def entries(submissions):
    return settled(submissions)


@pytest.fixture
def everything(entries) -> Lines:
    """The chain of the feed `all`."""
    return [{"seq": entry.seq, "body": entry.body.decode(), "link": entry.chain.hex()} for entry in entries]


@pytest.fixture
def proofs(submissions, entries) -> Lines:
    return [
        {"id": entry.id, "hashed_text": hashed_text(submission)}
        for submission, entry in zip(submissions, entries, strict=True)
    ]


def rechained(lines: Lines) -> Lines:
    """What somebody would show who changed history and made the chain anew."""
    link, made = GENESIS, []
    for seq, line in enumerate(lines, 1):
        link = sha256(link + sha256(line["body"].encode()).digest()).digest()
        made.append({"seq": seq, "body": line["body"], "link": link.hex()})
    return made


class Verifier:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def file(self, name: str, lines: Lines) -> str:
        path = self._directory / name
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        return str(path)

    def __call__(self, lines: Lines, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.file("export.jsonl", lines), *options)

    def run(self, export: str | Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(SCRIPT), str(export), *options]
        return subprocess.run(command, capture_output=True, encoding="utf-8", env={"PYTHONUTF8": "1"}, check=False)


@pytest.fixture
def verify(tmp_path) -> Verifier:
    return Verifier(tmp_path)


def known(line) -> str:
    return f"{line['seq']}:{line['link']}"


def test_a_whole_chain_holds_and_its_end_is_told_to_be_noted(verify, everything):
    done = verify(everything)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"ok: 5 signals hold; last {known(everything[-1])}\n"


def test_the_standard_chain_holds_without_the_premium_signals(verify, entries):
    lines = [
        {"seq": entry.standard_seq, "body": entry.body.decode(), "link": entry.standard_chain.hex()}
        for entry in entries
        if entry.standard_seq is not None
    ]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert verify(lines).stdout.startswith("ok: 3 signals hold")


def test_an_export_may_come_from_a_pipe(everything):
    text = "".join(json.dumps(line) + "\n" for line in everything)
    done = subprocess.run([sys.executable, "-I", SCRIPT, "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("ok: 5 signals")


def test_an_empty_log_holds(verify):
    assert verify([]).stdout == f"ok: 0 signals hold; last 0:{'0' * 64}\n"


@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_changed_body_is_named(verify, everything, at):
    everything[at]["body"] = everything[at]["body"].replace("BUY", "SELL")
    done = verify(everything)
    assert done.returncode == 1
    assert done.stdout.startswith(f"broken at seq {at + 1}: the link is {everything[at]['link']}")


def test_a_changed_link_is_named(verify, everything):
    everything[3]["link"] = "00" * 32
    assert verify(everything).stdout.startswith("broken at seq 4:")


def test_a_missing_entry_is_named(verify, everything):
    del everything[2]
    assert verify(everything).stdout == "broken at seq 3: it is missing, 4 follows\n"


def test_a_missing_beginning_is_named(verify, everything):
    assert verify(everything[2:]).stdout == "broken at seq 1: it is missing, 3 follows\n"


def test_entries_that_changed_places_are_named(verify, everything):
    everything[1]["body"], everything[2]["body"] = everything[2]["body"], everything[1]["body"]
    assert verify(everything).stdout.startswith("broken at seq 2:")


def test_history_that_was_made_anew_is_found_by_a_link_noted_earlier(verify, everything):
    noted = known(everything[3])
    everything[1]["body"] = everything[1]["body"].replace("BUY", "SELL")
    forged = rechained(everything)
    assert verify(forged).returncode == 0
    done = verify(forged, "--known", noted)
    assert done.returncode == 1
    assert done.stdout.startswith("broken at seq 4:")
    assert "history was rewritten" in done.stdout


def test_a_log_that_was_cut_short_is_found_by_a_link_noted_earlier(verify, everything):
    assert verify(everything, "--known", known(everything[4])).returncode == 0
    done = verify(everything[:3], "--known", known(everything[4]))
    assert done.stdout == "broken at seq 5: a link is known, and the export holds only 1 to 3\n"


def test_an_archived_log_goes_on_from_its_checkpoint(verify, everything):
    checkpoint = {"seq": 2, "link": everything[1]["link"]}
    done = verify([checkpoint, *everything[2:]])
    assert done.returncode == 0
    ok, note = done.stdout.splitlines()
    assert ok.startswith("ok: 3 signals after 2 hold; last 5:")
    assert note.startswith("note: checkpoint 2 comes from the export itself")
    assert verify([checkpoint, *everything[2:]], "--known", known(checkpoint)).stdout == ok + "\n"


def test_an_export_may_begin_right_after_a_known_position(verify, everything):
    later = everything[3:]
    assert verify(later).stdout == "broken at seq 1: it is missing, 4 follows\n"
    done = verify(later, "--known", known(everything[2]))
    assert done.stdout == f"ok: 2 signals after 3 hold; last {known(everything[4])}\n"
    assert verify(later, "--known", f"3:{'0' * 64}").stdout.startswith("broken at seq 4:")
    assert verify(later, "--known", known(everything[1])).stdout == "broken at seq 1: it is missing, 4 follows\n"


def test_a_wrong_checkpoint_is_named(verify, everything):
    wrong = {"seq": 2, "link": everything[0]["link"]}
    assert verify([wrong, *everything[2:]]).stdout.startswith("broken at seq 3:")
    done = verify([wrong, *everything[2:]], "--known", known(everything[1]))
    assert done.stdout.startswith("broken at seq 2:")


def test_producers_hashes_are_checked_where_their_texts_are_given(verify, everything, proofs):
    done = verify(everything, "--texts", verify.file("proofs.jsonl", proofs[1:4]))
    assert done.stdout.startswith("ok: 5 signals hold, 3 producers' hashes hold; last 5:")


def test_a_proof_as_ingest_gives_it_is_a_text(verify, proofs, everything):
    golden = json.loads((ROOT / "shared/examples/ledger/signal-proof.standard.json").read_text())
    line = {"seq": 1, "body": json.dumps(golden["data"])}
    done = verify(rechained([line]), "--texts", verify.file("proofs.jsonl", [golden, proofs[0]]))
    assert done.stdout.startswith("ok: 1 signals hold, 1 producers' hashes hold")


def test_a_text_that_stands_beside_the_body_is_checked(verify, everything, proofs):
    told = [line | {"hashed_text": proof["hashed_text"]} for line, proof in zip(everything, proofs, strict=True)]
    assert verify(told).stdout.startswith("ok: 5 signals hold, 5 producers' hashes hold")
    told[3]["hashed_text"] = told[2]["hashed_text"]
    assert verify(told).stdout == "broken at seq 4: the producer's hash is not that of the text\n"


def test_a_text_that_the_producer_did_not_hash_is_named(verify, everything, proofs):
    proofs[2]["hashed_text"] += " "
    done = verify(everything, "--texts", verify.file("proofs.jsonl", proofs))
    assert done.stdout == "broken at seq 3: the producer's hash is not that of the text\n"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("action", "SELL"),
        ("entry_price", 1.5),
        ("symbol", "MSFT"),
        ("stop_loss", 1.0),
        ("take_profit", None),
        ("confidence", 99.0),
    ],
)
def test_a_signal_that_says_something_else_than_its_producer_hashed_is_named(verify, everything, proofs, field, value):
    everything[1]["body"] = json.dumps({**json.loads(everything[1]["body"]), field: value})
    forged = rechained(everything)
    done = verify(forged, "--texts", verify.file("proofs.jsonl", proofs))
    assert done.returncode == 1
    assert done.stdout.startswith("broken at seq 2: the signal says something else than what its producer hashed: ")


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "[]",
        "1",
        '{"seq": 1, "body": "x"}',
        '{"seq": "1", "body": "x", "link": "%s"}' % ("0" * 64),
        '{"seq": true, "body": "x", "link": "%s"}' % ("0" * 64),
        '{"seq": 1, "body": 7, "link": "%s"}' % ("0" * 64),
        '{"seq": 1, "body": "x", "link": "00"}',
        '{"seq": 1, "body": "x", "link": "zz"}',
        '{"seq": 1, "body": "x", "link": "%s", "hashed_text": 1}' % ("0" * 64),
    ],
)
def test_what_is_no_export_is_told_from_a_broken_chain(tmp_path, line):
    export = tmp_path / "export.jsonl"
    export.write_text(line + "\n")
    done = subprocess.run([sys.executable, "-I", SCRIPT, export], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("line 1: ")


def test_a_checkpoint_in_the_middle_is_no_way_around_a_gap(verify, everything):
    done = verify([*everything[:2], {"seq": 3, "link": everything[2]["link"]}, *everything[3:]])
    assert (done.returncode, done.stderr) == (2, "line 3: a checkpoint can only be the first line\n")


def test_a_file_that_is_not_there_is_said(tmp_path):
    command = [sys.executable, "-I", SCRIPT, tmp_path / "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing" in done.stderr


@pytest.mark.parametrize("noted", ["12", "x:00", "1:zz", f"-1:{'0' * 64}"])
def test_a_noted_link_that_makes_no_sense_is_refused(verify, everything, noted):
    assert verify(everything, f"--known={noted}").returncode == 2


async def test_what_ingest_exports_and_archives_is_verified(verify, submissions, tmp_path):
    settings = DatabaseSettings.model_validate({"INGEST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/ingest.db"})
    await commands.migrate_database(settings)
    async with commands.migrated_database(settings) as database:
        await Submitter(database).commit(*submissions)
        await PublisherLease(database, SignalLogPublisher, "me").take()
        await PublisherLease(database, SignalLogPublisher, "me").save(
            len(submissions), 0
        )  # only what is published is archived

    async def exported(feed: Feed) -> subprocess.CompletedProcess[str]:
        with (tmp_path / f"{feed}.jsonl").open("wb") as file:
            await commands.export_ledger(settings, feed, file)
        return verify.run(tmp_path / f"{feed}.jsonl")

    assert (await exported(Feed.ALL)).stdout.startswith("ok: 5 signals hold; last 5:")
    assert (await exported(Feed.STANDARD)).stdout.startswith("ok: 3 signals hold; last 3:")
    assert await commands.archive_ledger(settings, 4, tmp_path / "archive.jsonl") == 3
    archived = verify.run(tmp_path / "archive.jsonl")
    assert archived.stdout.startswith("ok: 3 signals hold, 3 producers' hashes hold; last 3:")
    end = archived.stdout.rsplit(" ", 1)[1].strip()
    await exported(Feed.ALL)
    assert verify.run(tmp_path / "all.jsonl", "--known", end).stdout.startswith("ok: 2 signals after 3 hold; last 5:")
    assert (await exported(Feed.STANDARD)).stdout.startswith("ok: 1 signals after 2 hold; last 3:")
