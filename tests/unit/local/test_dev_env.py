"""`.data/dev.env` keeps its secrets, and a shell reads it as we do."""

import json
import subprocess
from pathlib import Path

import pytest

from tiercast_local import dev_env, env_file
from tiercast_local.errors import LocalError

AMQP_URL = "amqp://some%40one:p%23ss@127.0.0.1:5999/"


def test_a_second_start_keeps_the_secrets_and_renews_the_addresses(tmp_path: Path) -> None:
    first = dev_env.save({}, tmp_path, AMQP_URL)
    second = dev_env.save({"GATEWAY_PORT": "9000"}, tmp_path, "amqp://guest:guest@other/")

    assert {name: second[name] for name in dev_env.KEPT} == {name: first[name] for name in dev_env.KEPT}
    assert second["AMQP_URL"] == "amqp://guest:guest@other/"
    assert second["INGEST_TRUSTED_PUBLISHERS"] == "guest"
    assert "http://127.0.0.1:9000" in second["GATEWAY_ALLOWED_ORIGINS"].split(",")
    assert dev_env.load(tmp_path) == second


def test_secrets_are_generated_anew_for_each_checkout(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = (dev_env.save({}, tmp_path / name, AMQP_URL) for name in ("one", "other"))

    assert not {one[name] for name in ("SERVICE_KEY", "GATEWAY_JWT_SECRET", "TIERS_ADMIN_KEY")} & set(other.values())


def test_the_environment_wins_and_own_settings_stay(tmp_path: Path) -> None:
    dev_env.save({}, tmp_path, AMQP_URL)
    with (tmp_path / "dev.env").open("a") as file:
        file.write("STRIPE_WEBHOOK_SECRET='whsec_1 2'\n")

    values = dev_env.save(
        {"SERVICE_KEY": "k" * 32, "INGEST_DATABASE_URL": "postgresql+asyncpg://h/d"}, tmp_path, AMQP_URL
    )

    assert values["SERVICE_KEY"] == "k" * 32
    assert values["INGEST_DATABASE_URL"] == "postgresql+asyncpg://h/d"
    assert values["STRIPE_WEBHOOK_SECRET"] == "whsec_1 2"


def test_a_shell_reads_the_same_values(tmp_path: Path) -> None:
    values = dev_env.save({"SERVICE_KEY": """it's "a" $HOME `key` \\ #1"""}, tmp_path, AMQP_URL)

    script = 'set -a; . "$1"; python3 -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", tmp_path / "dev.env"], capture_output=True, text=True, check=True
    )

    in_shell = json.loads(done.stdout)
    assert {name: in_shell[name] for name in values} == values
    assert list(json.loads(in_shell["INGEST_API_KEYS"])) == [dev_env.PRODUCER]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    dev_env.save({}, tmp_path, AMQP_URL)

    assert (tmp_path / "dev.env").stat().st_mode & 0o777 == 0o600
    assert env_file.read(tmp_path / "absent") == {}


def test_before_the_first_start_one_is_told_to_start(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="make up"):
        dev_env.load(tmp_path)
