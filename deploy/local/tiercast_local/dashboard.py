"""The dashboard: built, and checked, when its sources are newer than what was built or checked."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from tiercast_local.dev_env import ROOT
from tiercast_local.node import alone, find_node

PROJECT = ROOT / "services" / "dashboard"
DIST = PROJECT / "dist"
CACHE = ROOT / ".cache"
MADE = ("node_modules", "dist", ".installing")
"""What is not a source."""

NOT_SERVED = ("tests", "eslint.config.js", ".prettierrc.json", ".prettierignore")


def build_dashboard() -> Path:
    """Return the directory with the built dashboard, building it if what is there was made from other sources.

    Raises:
        NodeFailed: it is not there, and Node or its packages cannot be had, or the build fails.
    """
    _run_once("build", ignored=MADE + NOT_SERVED, done=(DIST / "index.html").exists)
    return DIST


def check_dashboard() -> None:
    """Check types and style, unless that was done with these sources; raises `NodeFailed` with what is wrong."""
    _run_once("lint", ignored=MADE)


def run_dashboard_tests() -> str:
    """Run the tests of client and hooks and return what they say; raises `NodeFailed` when one fails."""
    node = find_node()
    node.install_packages(PROJECT)
    return node.run_script(PROJECT, "test")


def _run_once(script: str, *, ignored: tuple[str, ...], done: Callable[[], bool] = lambda: True) -> None:
    """Run a script of the project, unless it ran well with the same sources and `done` still says so."""
    CACHE.mkdir(exist_ok=True)
    stamp = CACHE / f"dashboard.{script}"
    with alone(stamp.with_suffix(f".{script}-lock")):
        wanted = _digest(ignored)
        if done() and stamp.exists() and stamp.read_text() == wanted:
            return
        node = find_node()
        node.install_packages(PROJECT)
        node.run_script(PROJECT, script)
        stamp.write_text(wanted)


def _digest(ignored: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    files = (file for entry in sorted(PROJECT.iterdir()) if entry.name not in ignored for file in _files(entry))
    for file in files:
        digest.update(f"{file.relative_to(PROJECT)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _files(entry: Path) -> list[Path]:
    return [entry] if entry.is_file() else sorted(file for file in entry.rglob("*") if file.is_file())
