"""Node for tests that speak JavaScript: the machine's, else one from a wheel in our own environment."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "node.lock"
OLDEST = 20  # major version
ENVIRONMENT = Path(sys.executable).parent


class NodeFailed(AssertionError):
    """Node, npm or a script failed; what it printed is in the text."""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other processes of the same test run out of the block."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Node:
    """Node and npm from one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def executable(self) -> Path:
        """The program `node`, for scripts that run for longer than `run` waits."""
        return self._directory / "node"

    def version(self) -> str:
        """Return Node's version, without the `v`."""
        return run([self._directory / "node", "--version"]).strip().removeprefix("v")

    def install_packages(self, project: Path) -> None:
        """Install exactly what the project's lock file names, once for each state of that file."""
        with alone(project / ".installing"):
            self._install_packages(project)

    def _install_packages(self, project: Path) -> None:
        stamp = project / "node_modules" / ".installed"
        wanted = hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        # npm is itself a script for `node`: name the interpreter, so that it is the one of the same directory.
        npm = (self._directory / "npm").resolve()
        command = [self._directory / "node", npm] if npm.suffix == ".js" else [npm]
        run([*command, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=project)
        stamp.write_text(wanted)

    def run(self, script: Path, *arguments: str, timeout: float = 60) -> str:
        """Run a script to its end and return what it printed; raises `NodeFailed` when it fails."""
        return run([self._directory / "node", script, *arguments], cwd=script.parent, timeout=timeout)


def find_node() -> Node:
    """Return a Node of version 20 or newer, installing the hashed wheel into our environment if there is none."""
    on_path = shutil.which("node")
    for directory in [*([Path(on_path).parent] if on_path else []), ENVIRONMENT]:
        if _usable(directory):
            return Node(directory)
    uv = ENVIRONMENT / "uv"
    with alone(ENVIRONMENT / ".installing"):
        run([uv, "pip", "install", "--quiet", "--python", sys.executable, "--require-hashes", "-r", LOCK], timeout=300)
    if not _usable(ENVIRONMENT):
        raise NodeFailed(f"no Node {OLDEST} or newer on PATH, and the one of {LOCK.name} does not run here")
    return Node(ENVIRONMENT)


def run(command: list[Path | str], cwd: Path = ROOT, timeout: float = 300) -> str:
    """Run a command and return its standard output; raises `NodeFailed` with all it printed when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise NodeFailed(
            f"{' '.join(map(str, command[:3]))} … exited with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def _usable(directory: Path) -> bool:
    if not (directory / "node").exists() or not (directory / "npm").exists():
        return False
    try:
        version = Node(directory).version()
    except NodeFailed:
        return False
    major = re.match(r"\d+", version)
    return major is not None and int(major.group()) >= OLDEST
