"""Installing a Debian package without letting its own service run."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tiercast_local.errors import LocalError

# What a package's scripts ask before they start a service; exit code 101 forbids it (see invoke-rc.d(8)).
POLICY = Path("/usr/sbin/policy-rc.d")
FORBID = "#!/bin/sh\nexit 101\n"
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq", "-y")


def can_install() -> bool:
    """Tell whether we are root on a machine with apt."""
    return os.getuid() == 0 and shutil.which("apt-get") is not None


def install(package: str) -> None:
    """Install `package` from the machine's own sources; raises `LocalError` with apt's words when it cannot."""
    print(f"tiercast: installing the Debian package {package}", file=sys.stderr, flush=True)
    with _services_stay_down():
        wanted = (*APT, "install", "--no-install-recommends", package)
        if _run(wanted).returncode == 0:
            return
        _run((*APT, "update"))
        done = _run(wanted)
    if done.returncode:
        raise LocalError(f"apt-get install {package} failed:\n{done.stdout}{done.stderr}")


def _run(command: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, env=os.environ | quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@contextlib.contextmanager
def _services_stay_down() -> Iterator[None]:
    """Forbid package scripts to start services, keeping a policy that is already there."""
    if POLICY.exists():
        previous: bytes | None = POLICY.read_bytes()
        mode = POLICY.stat().st_mode
    else:
        previous, mode = None, 0
    POLICY.write_text(FORBID)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
        if previous is not None:
            POLICY.write_bytes(previous)
            POLICY.chmod(mode)
