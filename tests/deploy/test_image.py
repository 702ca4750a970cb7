"""The Dockerfile fits the locks, the services and the interpreter that tests run on; its health check tells the truth."""

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deploy.manifests import DEPLOY, OURS, ROOT
from tests.deploy.service_settings import SETTINGS

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
HEALTHCHECK = DEPLOY / "image" / "healthcheck.py"


def test_images_run_the_python_that_locks_and_types_are_made_for() -> None:
    (version,) = re.findall(r"^ARG PYTHON_VERSION=(\S+)", DOCKERFILE, re.MULTILINE)
    assert f"--python-version {version} " in (ROOT / "Makefile").read_text()
    assert f'python_version = "{version}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("service", OURS)
def test_every_service_has_a_stage_that_exposes_its_ports(service: str) -> None:
    stage = DOCKERFILE.partition(f"FROM runtime AS runtime-{service}\n")[2].partition("\nFROM ")[0]
    defaults = [SETTINGS[service].model_fields[name].default for name in ("port", "metrics_port")]
    assert f"EXPOSE {defaults[0]} {defaults[1]}" in stage
    assert ("dashboard" in stage) is (service == "gateway")


def test_everything_is_installed_from_a_lock_with_hashes_and_run_by_nobody() -> None:
    for lock in ("build", *OURS):
        assert "--hash=sha256:" in (ROOT / "requirements" / f"{lock}.lock").read_text()
    installs = re.findall(r"pip[^\n]* install [^\n\\]*", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["/app/bin/service"\]$', DOCKERFILE, re.MULTILINE)


def test_what_the_builder_needs_is_let_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)
    for path in copied:
        for service in OURS:
            source = path.replace("${SERVICE}", service).rstrip("/")
            assert any(
                source == each or source.startswith(f"{each}/") or each.startswith(f"{source}/") for each in allowed
            )


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def healthcheck(port: int, *arguments: str) -> int:
    environment = {"TIERCAST_SERVICE": "gateway", "GATEWAY_PORT": str(port)}
    return subprocess.run(
        [sys.executable, HEALTHCHECK, *arguments], env=environment, capture_output=True, check=False
    ).returncode


def test_the_health_check_says_what_the_service_says() -> None:
    with answering(503) as port:
        assert healthcheck(port) == 0
        assert healthcheck(port, "/readyz") == 1
    assert healthcheck(port) == 1
