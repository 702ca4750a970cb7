"""A directory and servers for one benchmark, gone when it ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.backends import Backends


@contextmanager
def workspace() -> Iterator[tuple[Path, Backends]]:
    """A directory of one's own and the finder of servers."""
    directory, backends = Path(tempfile.mkdtemp(prefix="tiercast-bench-")), Backends()
    try:
        yield directory, backends
    finally:
        backends.close()
        shutil.rmtree(directory, ignore_errors=True)
