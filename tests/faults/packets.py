"""Drops packets on a port with nftables, where the kernel and our rights allow it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def nft(*arguments: str) -> bool:
    """Run `nft`; whether it worked."""
    program = shutil.which("nft") or "/usr/sbin/nft"
    try:
        return subprocess.run([program, *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def permitted() -> bool:
    """Whether rules can be made here."""
    table = f"tiercast_faults_try_{os.getpid()}"
    return nft("add", "table", "inet", table) and nft("delete", "table", "inet", table)


@contextmanager
def dropped(port: int) -> Iterator[None]:
    """Every packet from and to `port` disappears while the block runs. In a table of its own, removed at the end."""
    table = f"tiercast_faults_{os.getpid()}"
    try:
        assert nft("add", "table", "inet", table)
        assert nft("add", "chain", "inet", table, "in", "{ type filter hook input priority 0; }")
        for side in ("dport", "sport"):
            assert nft("add", "rule", "inet", table, "in", "tcp", side, str(port), "drop")
        yield
    finally:
        nft("delete", "table", "inet", table)
