"""Rendered manifests, once per session. Where a program is missing that they need, tests say so, and how to install it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, OVERLAYS, Manifest, render
from tests.support.programs import find_program
from tiercast_local.env_file import read

Rendered = dict[str, list[Manifest]]

VARIABLE = re.compile(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}")
"""As compose.yaml has them: a name, and what is said or taken when it is not set."""

KUBECTL = (
    "install kubectl 1.30 or newer (https://kubernetes.io/docs/tasks/tools); the one in Debian's kubernetes-client is too old "
    "for kustomize's labels and components"
)


def missing(program: str, how: str) -> NoReturn:
    """End the test: in `make deploy-check` a missing program is a failure, elsewhere a skip that is named."""
    text = f"not checked: {program} is missing; {how}"
    if os.environ.get("DEPLOY_CHECK"):
        pytest.fail(text)
    pytest.skip(text)


def require_program(name: str, package: str) -> str:
    """The path of a program of a Debian package, installed if need be; the test ends when it cannot be had."""
    return find_program(name, package) or missing(name, f"install it (Debian: apt-get install {package})")


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The manifests of each overlay."""
    if find_program("kubectl") is None:
        missing("kubectl", KUBECTL)
    copy: Path = tmp_path_factory.mktemp("manifests") / "deploy"
    return {overlay: render(overlay, copy) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, rendered: Rendered) -> list[Manifest]:
    """One overlay's manifests: the test runs for each."""
    return rendered[request.param]


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What deploy/compose/secrets generates."""
    directory = tmp_path_factory.mktemp("secrets") / "compose"
    directory.mkdir()
    script = shutil.copy(DEPLOY / "compose" / "secrets", directory)
    subprocess.run([script], check=True, capture_output=True)
    first = read(directory.parent / ".env")
    subprocess.run([script], check=True, capture_output=True)
    assert read(directory.parent / ".env") == first, "what is there is kept"
    assert (directory.parent / ".env").stat().st_mode & 0o077 == 0
    return first


@pytest.fixture(scope="session")
def compose(secrets: dict[str, str]) -> dict[str, Any]:
    """The file with its variables filled in, as Compose does."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        assert name in secrets or operator == ":-", f"{name} is neither generated nor has a default"
        return secrets.get(name, word)

    text = (DEPLOY / "compose.yaml").read_text()
    loaded: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{[^}]*\}", lambda m: m[0].replace('"', ""), text))
    return {key: _filled(part, value) for key, part in loaded.items()}


def _filled(node: Any, value: Any) -> Any:
    if isinstance(node, dict):
        return {key: _filled(each, value) for key, each in node.items()}
    if isinstance(node, list):
        return [_filled(each, value) for each in node]
    return VARIABLE.sub(value, node) if isinstance(node, str) else node
