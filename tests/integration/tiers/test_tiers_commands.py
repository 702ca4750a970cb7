"""The command `tiercast-tiers`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tiercast_tiers.main import main

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str) -> Run:
    """Run one command on a fresh database, with nothing else set."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(main, arguments, env={"TIERS_DATABASE_URL": database_url})


@pytest.fixture
def migrated(run: Run) -> None:
    assert run("migrate").exit_code == 0


def objects(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_migrating_twice_is_the_same_as_once(run):
    for _ in range(2):
        result = run("migrate")
        assert (result.exit_code, result.stdout) == (0, "the database is at revision 0004\n")


def test_what_is_set_is_got_and_remembered(run, migrated):
    (answer,) = objects(run("set", "auth0|alice", "pro", "--reason", "beta tester", "--actor", "ops"))
    assert (answer["tier"], answer["previous_tier"], answer["version"], answer["changed"]) == (
        "pro",
        "starter",
        1,
        True,
    )
    (again,) = objects(run("set", "auth0|alice", "pro"))
    assert (again["version"], again["changed"]) == (1, False)
    objects(run("set", "auth0|alice", "elite"))
    (now,) = objects(run("get", "auth0|alice"))
    assert (now["tier"], now["version"]) == ("elite", 2)
    history = objects(run("history", "auth0|alice"))
    assert [(c["tier"], c["reason"], c["actor"]) for c in history] == [
        ("elite", "set by command", "cli"),
        ("pro", "beta tester", "ops"),
    ]
    assert len(objects(run("history", "auth0|alice", "--limit", "1"))) == 1


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """A file of 1201 users, some of whom are starters."""
    file = tmp_path / "tiers.csv"
    rows = "".join(f"user-{n},{'starter' if n % 4 == 0 else 'pro'},order {n}\r\n" for n in range(1200))
    file.write_text(f"\ufeffuser_id,tier,reason\r\n{rows}Zoë,elite,\r\n", encoding="utf-8")
    return file


def test_a_sheet_is_imported_once_and_its_changes_are_in_the_log(run, migrated, sheet):
    (dry,) = objects(run("import", str(sheet), "--dry-run"))
    assert dry == {"lines": 1201, "changed": 901, "dry_run": True}
    assert objects(run("history", "user-1")) == []
    (done,) = objects(run("import", str(sheet), "--actor", "migration"))
    assert done == {"lines": 1201, "changed": 901, "dry_run": False}
    (change,) = objects(run("history", "user-1"))
    assert (change["tier"], change["reason"], change["actor"]) == ("pro", "order 1", "migration")
    assert objects(run("history", "Zoë"))[0]["reason"] == "imported"
    (again,) = objects(run("import", str(sheet)))
    assert again["changed"] == 0


def test_an_import_that_was_interrupted_is_finished_by_another(run, migrated, sheet):
    part = sheet.with_name("part.csv")
    part.write_text("".join(sheet.read_text().splitlines(keepends=True)[:501]), encoding="utf-8")
    (begun,) = objects(run("import", str(part)))
    (rest,) = objects(run("import", str(sheet)))
    assert begun["changed"] + rest["changed"] == 901


def test_of_a_sheet_with_a_wrong_line_nothing_is_imported(run, migrated, sheet):
    sheet.write_text(sheet.read_text() + "late,gold,\n", encoding="utf-8")
    result = run("import", str(sheet))
    assert (result.exit_code, result.stdout) == (78, "")
    assert "nothing was imported" in result.stderr
    assert "line 1203: tier: " in result.stderr
    assert objects(run("history", "user-1")) == []


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), (b"user_id,tier\na,pro\n\xff,pro\n", "utf-8")])
def test_a_file_that_cannot_be_read_is_named(run, migrated, tmp_path, content, says):
    file = tmp_path / "tiers.csv"
    if content is not None:
        file.write_bytes(content)
    result = run("import", str(file))
    assert result.exit_code == 78
    assert str(file) in result.stderr
    assert says in result.stderr


def test_a_user_nobody_has_heard_of_is_a_starter_without_history(run, migrated):
    assert objects(run("get", "nobody"))[0]["tier"] == "starter"
    assert objects(run("history", "nobody")) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("set", "alice", "gold"), "gold"),
        (("set", "a\nb", "pro"), "USER"),
        (("get", ""), "USER"),
        (("get", "x" * 256), "USER"),
        (("set", "alice", "pro", "--reason", "a\nb"), "reason"),
        (("set", "alice", "pro", "--actor", ""), "actor"),
        (("history", "alice", "--limit", "0"), "limit"),
    ],
)
def test_wrong_usage_is_refused_and_named_before_anything_is_read(arguments, says):
    result = CliRunner().invoke(main, arguments, env={"TIERS_DATABASE_URL": ""})
    assert result.exit_code == 2
    assert says in result.output


@pytest.mark.parametrize("arguments", [("get", "alice"), ("set", "alice", "pro"), ("history", "alice")])
def test_commands_on_an_unmigrated_database_say_which_command_to_run(run, arguments):
    result = run(*arguments)
    assert result.exit_code == 78
    assert "run `tiercast-tiers migrate`" in result.stderr


def test_without_a_database_url_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("TIERS_DATABASE_URL", raising=False)
    result = CliRunner().invoke(main, ["get", "alice"])
    assert result.exit_code == 78
    assert "TIERS_DATABASE_URL is not set" in result.stderr


def test_a_database_that_cannot_be_reached_is_said_in_one_line():
    environment = {"TIERS_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none"}
    result = CliRunner().invoke(main, ["get", "alice"], env=environment)
    assert result.exit_code == 69
    assert result.stderr.startswith("tiercast-tiers: database: ")
    assert result.stderr.count("\n") == 1
