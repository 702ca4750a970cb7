"""What a person runs first on a machine with compose: signing in, and sending signals, as services there would take them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY
from tests.deploy.service_settings import load
from tiercast_gateway.settings import GatewaySettings
from tiercast_gateway.trust import Trust

SCRIPTS = DEPLOY / "compose"
RECORDER = """#!/bin/sh
echo "$*" >>"$DOCKER_CALLS"
case "$*" in *" gateway-1 "*) cat >/dev/null; echo a.token ;; esac
"""
"""A Docker that notes what it was asked, and prints a token."""


def run(script: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("arguments", "scopes"), [(["alice"], set()), (["operator", "ops"], {"ops"})])
def test_the_token_of_sign_in_is_one_that_the_gateway_takes(
    compose: dict[str, Any], arguments: list[str], scopes: set[str]
) -> None:
    environment = compose["services"]["gateway-1"]["environment"]
    settings = load("gateway", environment)
    assert isinstance(settings, GatewaySettings)
    done = run("make_token.py", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    identity = Trust(settings).tokens.verify(done.stdout.strip())
    assert (identity.user_id, identity.scopes) == (arguments[0], scopes)


@pytest.mark.parametrize(
    ("arguments", "link"),
    [
        (["alice", "pro"], "http://localhost:9000/#token=a.token"),
        (["--operator"], "http://localhost:9000/ops#token=a.token"),
    ],
)
def test_sign_in_prints_a_link_that_opens_the_dashboard(tmp_path: Path, arguments: list[str], link: str) -> None:
    (tmp_path / "docker").write_text(RECORDER)
    (tmp_path / "docker").chmod(0o755)
    calls = tmp_path / "calls"
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "DOCKER_CALLS": str(calls),
        "GATEWAY_PORT": "9000",
    }
    done = subprocess.run(
        [str(SCRIPTS / "sign-in"), *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == link, done.stderr
    asked = calls.read_text()
    assert ("exec -T tiers /app/bin/service set alice pro" in asked) is (arguments[0] == "alice")
