"""Node: the machine's, else one from a wheel in our own environment."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiercast_local.dev_env import ROOT
from tiercast_local.errors import LocalError

LOCK = ROOT / "requirements" / "node.lock"
OLDEST = (20, 19)
ENVIRONMENT = Path(sys.executable).parent


class NodeFailed(LocalError):
    """Node, npm or a script failed; what it printed is in the text."""


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other processes out of the block."""
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

    @property
    def npm(self) -> list[Path | str]:
        """The command; npm is itself a script for `node`, so the interpreter of the same directory is named."""
        npm = (self._directory / "npm").resolve()
        return [self._directory / "node", npm] if npm.suffix == ".js" else [npm]

    def install_packages(self, project: Path) -> None:
        """Install exactly what the project's lock file names, once for each state of that file."""
        with alone(project / ".installing"):
            self._install_packages(project)

    def _install_packages(self, project: Path) -> None:
        stamp = project / "node_modules" / ".installed"
        wanted = hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        run([*self.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=project)
        stamp.write_text(wanted)

    def run_script(self, project: Path, name: str, timeout: float = 300) -> str:
        """Run one of the scripts of a project's `package.json` and return what it printed; raises `NodeFailed`."""
        return run([*self.npm, "run", "--silent", name], cwd=project, timeout=timeout)

    def run(self, script: Path, *arguments: str, timeout: float = 60) -> str:
        """Run a script to its end and return what it printed; raises `NodeFailed` when it fails."""
        return run([self._directory / "node", script, *arguments], cwd=script.parent, timeout=timeout)


def find_node() -> Node:
    """Return a Node that is new enough, installing the hashed wheel into our environment if there is none."""
    on_path = shutil.which("node")
    for directory in [*([Path(on_path).parent] if on_path else []), ENVIRONMENT]:
        if _usable(directory):
            return Node(directory)
    uv = ENVIRONMENT / "uv"
    with alone(ENVIRONMENT / ".installing"):
        run([uv, "pip", "install", "--quiet", "--python", sys.executable, "--require-hashes", "-r", LOCK], timeout=300)
    if not _usable(ENVIRONMENT):
        oldest = ".".join(map(str, OLDEST))
        raise NodeFailed(f"no Node {oldest} or newer on PATH, and the one of {LOCK.name} does not run here")
    return Node(ENVIRONMENT)


def run(command: list[Path | str], cwd: Path = ROOT, timeout: float = 300) -> str:
    """Run a command and return its standard output; raises `NodeFailed` with all it printed when it fails or takes too long."""
    words = " ".join(map(str, command[:3]))
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeFailed(f"{words} …: {error}") from error
    if done.returncode:
        raise NodeFailed(f"{words} … exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _usable(directory: Path) -> bool:
    if not (directory / "node").exists() or not (directory / "npm").exists():
        return False
    try:
        version = Node(directory).version()
    except NodeFailed:
        return False
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and tuple(map(int, numbers.groups())) >= OLDEST
