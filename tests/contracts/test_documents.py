"""What the documents point to is there, and the answers that the protocol lists are those of the code."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from tiercast_gateway.api import SubscribedPage
from tiercast_gateway.stats import Stats
from tiercast_shared.contracts.base import Beacon
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import ServerFrame
from tiercast_shared.contracts.signals import SignalEventHeaders
from tiercast_shared.contracts.tiers import SessionRevoked, TierChanged, TierChangePage, TierLookup
from tiercast_shared.web import Problem
from tiercast_tiers.api_models import SessionsRevokedAnswer, TierHistory, TierHistoryItem, TierSetAnswer, UserTier

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()

PACKAGES = [
    "",
    "shared",
    "shared/tiercast_shared",
    "tests",
    *(f"services/{name}/tiercast_{name}" for name in ("ingest", "tiers", "gateway")),
]
"""Where a path in a document may begin; `ingest/writer.py` and the like begin at a service."""

SERVICES = ("ingest", "tiers", "gateway")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as they are made from their text."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(path: str) -> bool:
    service, _, rest = path.partition("/")
    if service in SERVICES and (ROOT / "services" / service / f"tiercast_{service}" / rest).exists():
        return True
    return any((ROOT / package / path).exists() for package in PACKAGES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each not in RECORDS], ids=named)
def test_files_that_are_named_are_there(document):
    """But those of decisions, which are not changed when a file moves."""
    for path in re.findall(r"`([a-z_]+(?:/[\w.]+)*/[\w]+\.(?:py|md|json|c|lock|toml))`", document.read_text()):
        assert exists(path), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_make_commands_that_are_named_exist(document):
    makefile = (ROOT / "Makefile").read_text()
    rules = re.findall(r"^([a-z0-9%-]+):", makefile, re.MULTILINE)
    for command in re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", document.read_text(), re.MULTILINE):
        assert any(fnmatch(command, rule.replace("%", "?*")) for rule in rules), command


def test_decisions_are_numbered_without_a_gap_and_indexed_by_their_titles():
    index = (DECISIONS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", index, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(RECORDS) + 1))
    for record, (number, file, title) in zip(RECORDS, rows, strict=True):
        assert record.name == file
        assert record.read_text().startswith(f"# {number}. {title}\n")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_a_status_and_every_part(record):
    text = record.read_text()
    assert re.search(r"^Status: accepted, \d{4}-\d\d-\d\d(; .*replace[sd] .*\[\d{4}\].*)?$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]


def members(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


@pytest.mark.parametrize(
    "model",
    [UserTier, TierSetAnswer, SessionsRevokedAnswer, TierHistoryItem, Beacon, TierChanged, SessionRevoked, Stats],
)
def test_the_protocol_lists_the_fields_of_an_answer(model):
    assert "{" + ",".join(f'"{name}"' for name in members(model)) + "}" in PROTOCOL


def test_the_protocol_lists_the_fields_of_pages():
    for page, opening in {
        TierHistory: '{"user_id","changes":[',
        TierChangePage: '{"epoch","head","entries":[',
        TierLookup: '{"epoch","head","tiers":{',
        SubscribedPage: '{"items","total","limit","offset","has_more","user_tier"}',
    }.items():
        assert opening in PROTOCOL
        assert set(re.findall(r'"(\w+)"', opening)) <= set(members(page))


def test_the_protocol_shows_every_member_of_a_problem():
    (example,) = re.findall(r'\{"type": "about:blank".*?\}\]\}', PROTOCOL, re.DOTALL)
    assert set(Problem.model_validate_json(example).model_dump()) == set(re.findall(r'"(\w+)": ', example)) - {
        "field",
        "message",
    }


def test_the_protocol_lists_the_headers_of_signals():
    (row,) = [line for line in PROTOCOL.splitlines() if line.startswith("| `signals.events`")]
    for header in members(SignalEventHeaders):
        assert f"`{header}" in row


def test_the_protocol_lists_every_frame_with_its_fields():
    rows = dict(
        re.findall(r"^\| (`[a-z_`, ]+`) \| ((?:`|[^|])*) \|", PROTOCOL.split("### From the server")[1], re.MULTILINE)
    )
    for model in get_args(get_args(ServerFrame)[0]):
        fields = model.model_fields
        kinds = get_args(fields["type"].annotation)
        told = rows[", ".join(f"`{kind}`" for kind in kinds)]
        assert re.findall(r"`(\w+)(?:: true)?`", told) == [name for name in fields if name != "type"]


def test_the_protocol_lists_every_close_code_of_ours():
    for code in CloseCode:
        assert code < 4000 or f"| {code.value} |" in PROTOCOL
