"""The runbook says what an operator will really meet: alerts, readiness checks, log lines, commands and metrics that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn.protocols.http.httptools_impl
import yaml

from tests.support.prometheus import RULES
from tiercast_gateway.main import main as gateway
from tiercast_ingest.main import main as ingest
from tiercast_tiers.main import main as tiers

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
SERVICES = {"tiercast-ingest": ingest, "tiercast-tiers": tiers, "tiercast-gateway": gateway}
FOREIGN = {"curl", "docker", "kubectl", "rabbitmqctl", "psql", "python"}
INSIDE = re.compile(r"^(?:docker compose -f deploy/compose\.yaml exec (\S+)|kubectl -n tiercast exec (\S+) --) ")
"""What is put in front of a command to run it where its program is."""

COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
PODS = {"deploy/ingest", "deploy/tiers", "deploy/gateway", "rabbitmq-server-0", "ingest-database-1"}
SOURCES = [*ROOT.glob("services/*/tiercast_*/**/*.py"), *ROOT.glob("shared/tiercast_shared/**/*.py")]

ALERTS = [
    rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
]


def headings(chapter: str) -> list[str]:
    """The third-level headings of a chapter."""
    part = TEXT.split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    return re.findall(r"^### (.+)$", part, re.MULTILINE)


def section(heading: str) -> str:
    return TEXT.split(f"\n### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    """The lines of all code blocks of one language, without comments."""
    found = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for block in found for line in block.splitlines() if line.strip()]


def literal(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literal(node.body)
        yield from literal(node.orelse)


def logged() -> Iterator[tuple[str, str]]:
    """Level and text of each line that a service may log."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "log":
                for text in literal(node.args[0]):
                    yield node.func.attr, text
            elif ast.unparse(node.func) == "tell" or isinstance(node.func, ast.IfExp):
                for text in literal(node.args[0]):
                    yield "warning", text


def test_there_is_one_heading_for_each_alert_and_none_else():
    assert headings("Alerts") == ALERTS


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_explained_looked_at_and_answered(alert: str):
    for part in ("**Means.**", "**See.**", "**Do.**"):
        assert part in section(alert), f"{alert} lacks {part}"


def test_there_is_a_heading_for_each_readiness_check_and_none_else():
    checks = {
        f"{path.parent.name.removeprefix('tiercast_')}: {name}"
        for path in ROOT.glob("services/*/tiercast_*/app.py")
        for name in re.findall(r'checks\.add\("(\w+)"', path.read_text())
    }
    assert set(headings("What /readyz says")) == checks


def test_the_reasons_it_quotes_are_in_the_code():
    code = "\n".join(path.read_text() for path in SOURCES)
    flat = re.sub(r'"\s*\n\s*f?"', "", code)  # texts that go on on the next line
    for heading in headings("What /readyz says"):
        for quoted in re.findall(r"`([^`]+)`", section(heading)):
            if " " not in quoted:
                continue  # a name, not a reason
            for part in quoted.replace("\n", " ").split("…"):
                assert part.strip() in flat, f"{heading}: {part!r}"


def test_every_line_that_is_logged_as_an_error_has_a_heading():
    errors = {text for level, text in logged() if level in {"error", "exception", "critical"}}
    known = set(headings("Errors in the log"))
    assert len(errors) >= 4
    assert errors - known == set()
    library = Path(uvicorn.protocols.http.httptools_impl.__file__).read_text()
    assert [text for text in known - errors if text not in library] == []


def test_every_log_line_that_is_quoted_is_one_that_is_logged():
    lines = {text for _, text in logged()}
    quoted = {
        text
        for paragraph in TEXT.split("\n\n")
        for sentence in re.findall(r"[Ll]og lines? (.*)", paragraph.replace("\n", " "))
        for text in re.findall(r"`([a-z][^`=]* [^`=]*)`", sentence.split(". ")[0])
    }
    assert len(quoted) > 10
    assert quoted - lines == set()


@pytest.mark.parametrize("line", sorted(set(blocks("sh"))))
def test_every_command_exists(line: str):
    if place := INSIDE.match(line):
        assert place[1] in COMPOSE or place[2] in PODS, f"{line}: there is no {place[1] or place[2]}"
        line = line.removeprefix(place[0])
    words = line.split()
    if words[0] in FOREIGN:
        return
    command: Any = typer.main.get_command(SERVICES[words[0]])
    options: list[str] = []
    for word in words[1:]:
        if hasattr(command, "commands"):
            assert word in command.commands, f"{line}: there is no {word}"
            command = command.commands[word]
        elif word.startswith("--"):
            options.append(word)
    assert not hasattr(command, "commands"), f"{line} is not a whole command"
    assert set(options) <= {name for parameter in command.params for name in parameter.opts}


def anchors(text: str) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", h).replace(" ", "-").lower() for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_every_link_leads_to_a_heading_or_a_file():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        name, _, heading = target.partition("#")
        file = ROOT / "docs" / (name or "runbook.md")
        assert file.exists(), target
        assert not heading or heading in anchors(file.read_text()), target


def test_settings_it_names_exist():
    readme = (ROOT / "README.md").read_text()
    for name in re.findall(r"`((?:INGEST|TIERS|GATEWAY)_[A-Z_]+|SERVICE_KEY)`", TEXT):
        assert f"`{name}`" in readme, name
