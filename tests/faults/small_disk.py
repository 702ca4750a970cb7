"""A disk of a few megabytes (tmpfs) that can be filled up."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = bytes(2**16)


class SmallDisk:
    """A mounted file system at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Take up all that is free."""
        try:
            with self._ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(CHUNK)
        except OSError:
            return

    def free(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)

    def left(self) -> int:
        """Bytes that are free."""
        return shutil.disk_usage(self.path).free


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk | None]:
    """Mount one; None where we may not."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
