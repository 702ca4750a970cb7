"""Rendered manifests, once per session. Where `kubectl` is missing, every test that needs it says so."""

import os
import shutil
from pathlib import Path

import pytest

from tests.deploy.manifests import OVERLAYS, Manifest, render

Rendered = dict[str, list[Manifest]]


def missing(program: str) -> None:
    """End the test: in `make deploy-check` a missing program is a failure, elsewhere a skip that is named."""
    text = f"not checked: {program} is missing"
    if os.environ.get("DEPLOY_CHECK"):
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The manifests of each overlay."""
    if shutil.which("kubectl") is None:
        missing("kubectl")
    copy: Path = tmp_path_factory.mktemp("manifests") / "deploy"
    return {overlay: render(overlay, copy) for overlay in OVERLAYS}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, rendered: Rendered) -> list[Manifest]:
    """One overlay's manifests: the test runs for each."""
    return rendered[request.param]
