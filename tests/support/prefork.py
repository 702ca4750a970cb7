"""Starts a service's process by forking one that has imported the service already: an import takes seconds, a fork none.

What runs is the function of the console script, with a process id, group, environment and output of its own, and it is killed
and frozen like any other. There is a nursery for each service, so that none has in memory what only another one imports.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.prefork_server import REQUEST_BYTES
from tiercast_local.child import Child

ROOT = Path(__file__).parents[2]
IMPORTED_WITHIN = 60.0  # seconds


class Nursery:
    """The process that those of one service are forked from; when ours ends it ends, and they with it."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.support.prefork_server", module]
        paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'deploy' / 'local'}"}
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env={**environment, **paths}, cwd="/")
        self._socket = ours
        self._lock = threading.Lock()
        ours.settimeout(IMPORTED_WITHIN)
        if not ours.recv(REQUEST_BYTES):
            raise RuntimeError(f"{module} cannot be imported; its error is above")

    def fork(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> "ForkedProcess":
        """Run the service's command, of which the first word is only a name; its output is added to `log`."""
        request = {"command": list(command), "environment": dict(environment), "log": str(log)}
        return ForkedProcess(self, self._ask(request))

    def exit_status(self, pid: int) -> int:
        """Of a process that has ended, as `subprocess` has it; its id is free after that."""
        return self._ask({"ended": pid})

    def _ask(self, request: Mapping[str, object]) -> int:
        with self._lock:
            self._socket.send(json.dumps(request).encode())
            return int(self._socket.recv(REQUEST_BYTES))


class ForkedProcess:
    """What `subprocess.Popen` is for a child of our own."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._descriptor = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Block until it has ended; raises `subprocess.TimeoutExpired`."""
        status = self._ended(None if timeout is None else timeout * 1000)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Nothing when it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, milliseconds: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._descriptor, select.POLLIN)
            if poll.poll(milliseconds):
                with self._lock:
                    if self.returncode is None:
                        self.returncode = self._nursery.exit_status(self.pid)
                        os.close(self._descriptor)
        return self.returncode


class ForkedChild(Child):
    """A `Child` that was forked."""

    def __init__(self, process: ForkedProcess, log: Path) -> None:
        self.log = log
        self.process = process  # type: ignore[assignment]


_nurseries: dict[str, Nursery] = {}
_making = threading.Lock()


def nursery(module: str, environment: Mapping[str, str]) -> Nursery:
    """The one of this module, which is imported, in this environment, at the first call."""
    with _making:
        if module not in _nurseries:
            _nurseries[module] = Nursery(module, environment)
        return _nurseries[module]
