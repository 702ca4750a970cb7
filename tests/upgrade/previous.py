"""The code of an earlier commit, in a git worktree, run by this environment's Python and libraries."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("shared", "services/ingest", "services/tiers", "services/gateway")


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
def worktree(commit: str, directory: Path) -> Iterator[str]:
    """Check the commit out; yields the PYTHONPATH on which its packages come before the installed ones."""
    assert git("worktree", "add", "--detach", str(directory), commit) is not None
    try:
        yield os.pathsep.join(str(directory / part) for part in PARTS)
    finally:
        git("worktree", "remove", "--force", str(directory))
