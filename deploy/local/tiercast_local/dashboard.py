"""The dashboard, built when its sources are newer than what was built."""

import hashlib
from pathlib import Path

from tiercast_local.dev_env import ROOT
from tiercast_local.node import alone, find_node

PROJECT = ROOT / "services" / "dashboard"
DIST = PROJECT / "dist"
STAMP = ROOT / ".cache" / "dashboard.built"
MADE = ("node_modules", "dist", "tests", "eslint.config.js", ".installing")
"""Not sources of what is served."""


def build_dashboard() -> Path:
    """Return the directory with the built dashboard, building it if what is there was made from other sources.

    Raises:
        NodeFailed: it is not there, and Node or its packages cannot be had, or the build fails.
    """
    STAMP.parent.mkdir(exist_ok=True)
    with alone(STAMP.with_suffix(".lock")):
        wanted = _digest()
        if not (DIST / "index.html").exists() or not STAMP.exists() or STAMP.read_text() != wanted:
            node = find_node()
            node.install_packages(PROJECT)
            node.run_script(PROJECT, "build")
            STAMP.write_text(wanted)
    return DIST


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(PROJECT.rglob("*")):
        name = file.relative_to(PROJECT)
        if name.parts[0] not in MADE and file.is_file():
            digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
