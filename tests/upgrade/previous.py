"""An earlier commit, in a git worktree, installed with the libraries of its own lock."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = ("shared", "services/ingest", "services/tiers", "services/gateway")


def git(*arguments: str) -> str | None:
    """What git printed, or None when it failed."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def previous_commit() -> str | None:
    """The commit of PREVIOUS, else of the last tag before this commit, else this commit's parent; None when there is none."""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^")
    wanted = [os.environ["PREVIOUS"]] if os.environ.get("PREVIOUS") else [tag or "HEAD^", "HEAD^"]
    found = (git("rev-parse", "--verify", "--quiet", f"{each}^{{commit}}") for each in wanted)
    return next((commit for commit in found if commit), None)


@contextmanager
def installed(commit: str, directory: Path) -> Iterator[Path]:
    """Check the commit out below `directory` and install it there; yields the directory of its console scripts."""
    tree, environment = directory / "tree", directory / "environment"
    assert git("worktree", "add", "--detach", str(tree), commit) is not None
    try:
        python = environment / "bin" / "python"
        _uv("venv", "--python", sys.executable, str(environment))
        _uv("pip", "sync", "--python", str(python), "--require-hashes", str(tree / "requirements" / "dev.lock"))
        editable = [part for name in DISTRIBUTIONS for part in ("-e", str(tree / name))]
        _uv("pip", "install", "--python", str(python), "--no-deps", "--no-build-isolation", *editable)
        yield python.parent
    finally:
        git("worktree", "remove", "--force", str(tree))


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "uv"), "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments[:2])} of the previous version: {done.stderr}"
