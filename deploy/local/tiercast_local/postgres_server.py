"""A PostgreSQL server of our own, apart from any other on the machine."""

import os
import pwd
import re
import shutil
import signal
import time
from pathlib import Path

from tiercast_local.child import Child
from tiercast_local.errors import LocalError, Missing, NotReady
from tiercast_local.ports import LOOPBACK, free_port, wait_until_free
from tiercast_local.sql import DatabaseServer

USER = "tiercast"
READY_WITHIN = 30.0  # seconds; a start takes under one, crash recovery a few
SETTINGS = {"unix_socket_directories": "", "max_connections": "200", "log_min_messages": "warning"}


def installed_programs() -> Path | None:
    """Return the directory with `postgres` and `initdb` (the newest installed), or None."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if (path / "postgres").exists()), None)


class PostgresServer(DatabaseServer):
    """A server with its data in one directory, on a free port of the loopback interface.

    PostgreSQL refuses to run as root, so root runs it as the user `postgres`, who must be able to enter
    `directory`. With `durable=False` nothing is forced to the disk: faster, and safe against a crash of the
    server but not of the machine.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        programs = installed_programs()
        if programs is None:
            raise Missing("PostgreSQL is not installed")
        self._programs = programs
        self.directory = directory.absolute()
        self.port = free_port()
        self._durable = durable
        self._user = _other_user() if os.getuid() == 0 else None
        self._server: Child | None = None

    @property
    def log(self) -> Path:
        """The file with the server's output."""
        return self.directory.parent / f"{self.directory.name}.log"

    def url(self, database: str = "postgres", driver: str = "postgresql") -> str:
        """Return the URL of a database, for SQLAlchemy when `driver` names one (`postgresql+asyncpg`)."""
        return f"{driver}://{USER}@{LOOPBACK}:{self.port}/{database}"

    def running(self) -> bool:
        """Tell whether the server process lives."""
        return self._server is not None and self._server.alive()

    def start(self) -> None:
        """Start the server, making its data directory first when there is none; return when it answers.

        Raises `NotReady` when it dies or takes longer than half a minute.
        """
        if self.running():
            return
        if not (self.directory / "PG_VERSION").exists():
            self._make_data_directory()
        switch = "on" if self._durable else "off"
        settings = SETTINGS | {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "fsync": switch,
            "full_page_writes": switch,
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._server = Child(
            [str(self._programs / "postgres"), "-D", str(self.directory), *flags],
            env=os.environ,
            log=self.log,
            user=self._user,
        )
        try:
            self._await_ready(self._server)
        except BaseException:  # a Ctrl-C too
            self._server.kill()
            raise

    def stop(self) -> None:
        """Shut down in order, ending open sessions (pg_ctl's `fast`)."""
        self._end(signal.SIGINT)

    def stop_immediately(self) -> None:
        """Quit without a checkpoint (pg_ctl's `immediate`); the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop in order and start again on the same data and port."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self._server is not None:
            self._server.stop(number)
        self._server = None
        if not wait_until_free(self.port):
            raise NotReady(f"port {self.port} is still taken after PostgreSQL ended")

    def _make_data_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.directory, self._user, self._user)
        self.directory.chmod(0o700)
        initdb = [str(self._programs / "initdb"), "-D", str(self.directory), "-U", USER, "-A", "trust"]
        child = Child([*initdb, "-E", "UTF8", "--locale=C", "--no-sync"], env=os.environ, log=self.log, user=self._user)
        if child.process.wait(60):
            raise NotReady(f"initdb failed; the end of {self.log}:\n{child.tail()}")

    def _await_ready(self, server: Child) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not self.answers():
            if not server.alive() or time.monotonic() > deadline:
                state = "did not become ready" if server.alive() else "ended while starting"
                raise NotReady(f"the private PostgreSQL {state}; the end of {self.log}:\n{server.tail()}")
            time.sleep(0.05)


def _version(path: Path) -> int:
    return int("".join(re.findall(r"\d+", path.parent.name)) or 0)


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise LocalError("PostgreSQL refuses to run as root, and there is no user `postgres` to run it as")
