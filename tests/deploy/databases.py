"""Backups as docs/operations.md says: pg_dump and pg_restore, and SQLite's own online backup."""

import os
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.deploy.conftest import require_program
from tiercast_local.postgres_server import installed_programs


def back_up(url: str, file: Path) -> None:
    """Write the database of a SQLAlchemy URL, as it is now, to `file`; the service may go on writing."""
    if url.startswith("sqlite"):
        with sqlite3.connect(_sqlite_path(url)) as source, sqlite3.connect(file) as copy:
            source.backup(copy)
        source.close()
        copy.close()
    else:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--file", str(file))


def restore(url: str, file: Path) -> None:
    """Make the database what the backup is; nobody may use it meanwhile."""
    if url.startswith("sqlite"):
        path = _sqlite_path(url)
        for rest in (path, f"{path}-wal", f"{path}-shm"):
            Path(rest).unlink(missing_ok=True)
        with sqlite3.connect(file) as source, sqlite3.connect(path) as target:
            source.backup(target)
        source.close()
        target.close()
    else:
        _run(
            "pg_restore",
            url,
            "--clean",
            "--if-exists",
            "--no-owner",
            "--single-transaction",
            "--exit-on-error",
            str(file),
        )


def _sqlite_path(url: str) -> str:
    return url.partition("///")[2]


def _run(program: str, url: str, *arguments: str) -> None:
    programs = installed_programs()
    found = str(programs / program) if programs else require_program(program, "postgresql-client")
    parts = urlsplit(url)
    login = {"PGPASSWORD": unquote(parts.password or ""), "PGUSER": unquote(parts.username or "")}
    place = ["-h", str(parts.hostname), "-p", str(parts.port), "-d", parts.path[1:]]
    command = [found, *place, *arguments]
    done = subprocess.run(command, env=os.environ | login, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
