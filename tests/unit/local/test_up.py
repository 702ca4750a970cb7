"""`make up` starts everything, tells what it needs told, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.http import http_get
from tiercast_local import dev_env
from tiercast_local.broker import find_broker
from tiercast_local.dev_env import ROOT
from tiercast_local.errors import LocalError
from tiercast_local.local_services import SERVICES, require_free_ports, url
from tiercast_local.ports import free_port

RUNNER = [sys.executable, "-m", "tiercast_local"]


def environment(data: Path, **told: str) -> dict[str, str]:
    ports = {name: str(free_port()) for service in SERVICES for name in service.ports({})}
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "DOCKER_HOST") if name in os.environ}
    return inherited | ports | {"TIERCAST_DATA_DIR": str(data), "PYTHONPATH": str(ROOT / "deploy/local")} | told


@contextmanager
def running(env: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up` until it says that all is ready."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*RUNNER, "up"], env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(output, "Tiercast is up.", process)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_for(output: Path, words: str, process: subprocess.Popen[bytes], within: float = 90) -> None:
    deadline = time.monotonic() + within
    while words not in output.read_text(errors="replace"):
        assert process.poll() is None, output.read_text(errors="replace")
        assert time.monotonic() < deadline, output.read_text(errors="replace")
        time.sleep(0.05)


def processes_of(data: Path) -> list[str]:
    """What still runs with this data directory in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(data).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def child_of(parent: subprocess.Popen[bytes], command: bytes) -> int:
    """The id of the one child whose command line holds some words."""
    (found,) = (
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if parent_of(process) == str(parent.pid) and command in (process / "cmdline").read_bytes()
    )
    return found


def parent_of(process: Path) -> str:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def test_everything_starts_with_a_broker_of_its_own_and_stops_at_ctrl_c(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "output"
    env = environment(data)
    with running(env, output) as up:
        values = dev_env.load(data)
        for service in SERVICES:
            assert http_get(f"{url(service, values)}/readyz").status_code == 200
        token = subprocess.run(
            [*RUNNER, "token", "--sub", "alice", "--tier", "pro"], env=env, capture_output=True, text=True, check=True
        )
        assert token.stdout.count("\n") == 1
        answer = http_get(
            f"{url(SERVICES[2], values)}/api/v1/signals/subscribed",
            headers={"Authorization": f"Bearer {token.stdout.strip()}"},
        )
        assert answer.json()["user_tier"] == "pro"
        link = f"{url(SERVICES[2], values)}/#token="
        assert output.read_text().count(link) == 3, "one link for each tier opens the dashboard signed in"
        assert http_get(link).headers["Content-Type"].startswith("text/html")
        second = subprocess.run([*RUNNER, "up"], env=env, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another `make up` already uses" in second.stderr

        os.killpg(up.pid, signal.SIGINT)
        assert up.wait(30) == 0

    assert processes_of(data) == []
    require_free_ports(env)
    assert "Traceback" not in output.read_text()


def test_a_broker_that_dies_is_told_and_everything_stops(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "output"
    with running(environment(data), output) as up:
        os.kill(child_of(up, b"beam.smp"), signal.SIGKILL)
        assert up.wait(30) == 1

    assert "tiercast: the broker ended (private RabbitMQ" in output.read_text()
    assert processes_of(data) == []


def test_a_service_that_dies_is_named_and_everything_else_stops(tmp_path: Path, amqp_url: str) -> None:
    data, output = tmp_path / "data", tmp_path / "output"
    with running(environment(data, AMQP_URL=amqp_url), output) as up:
        os.kill(child_of(up, b"tiercast-gateway"), signal.SIGKILL)
        assert up.wait(30) == 1

    assert "tiercast: gateway ended with status -9" in output.read_text()
    assert processes_of(data) == []


def test_a_told_broker_that_is_away_is_said_so(tmp_path: Path) -> None:
    told = {"AMQP_URL": f"amqp://user:secret@127.0.0.1:{free_port()}/"}

    with pytest.raises(LocalError, match="nothing answers at AMQP_URL=amqp://user:\\*\\*\\*@127"):
        find_broker(tmp_path, None, told)


def test_a_told_broker_that_refuses_is_said_so(tmp_path: Path, amqp_url: str) -> None:
    wrong = amqp_url.replace("://", "://nobody-").rstrip("/")

    with pytest.raises(LocalError, match="refuses us"):
        find_broker(tmp_path, None, {"AMQP_URL": wrong})
