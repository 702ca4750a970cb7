"""A service as a real process, from the console script that operators run."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.support.http import http_get
from tests.support.ports import lasting_port
from tests.support.prefork import ForkedChild, nursery
from tiercast_local.child import Child
from tiercast_local.ports import LOOPBACK

SCRIPTS = Path(sys.executable).parent
READY_WITHIN = 60.0  # seconds; a start takes two to four
COMMAND_WITHIN = 60.0
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")  # nothing else of our environment reaches a service


class ServiceFailed(AssertionError):
    """A service ended or did not become ready; its last log lines are in the text."""


class Service:
    """One replica of `tiercast-<kind>`, on free ports, its output in a file.

    `environment` holds its settings by their environment names; ports are added here. Fault tests change it
    between `kill` and `spawn` to start the replica differently.
    """

    forked = False
    """Whether its processes are forked from one that has imported the service, instead of running the script; tests are."""

    def __init__(self, kind: str, environment: Mapping[str, str], log: Path) -> None:
        self.kind = kind
        self.log = log
        self.scripts = SCRIPTS
        """Where its console script is: another version's, in a test of upgrades."""
        self.port = lasting_port()
        self.metrics_port = lasting_port()
        prefix = kind.upper()
        ports = {f"{prefix}_PORT": str(self.port), f"{prefix}_METRICS_PORT": str(self.metrics_port)}
        self.environment = {**environment, **ports}
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where its HTTP API is."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Where its metrics are."""
        return f"http://{LOOPBACK}:{self.metrics_port}/metrics"

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().pid

    def alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.alive()

    def command(self, *arguments: str) -> str:
        """Run another command of the service to its end (`migrate`) and return what it printed."""
        with tempfile.TemporaryDirectory() as directory:
            child = self._run(arguments, Path(directory) / "output")
            try:
                status = child.process.wait(COMMAND_WITHIN)
            except subprocess.TimeoutExpired:
                child.kill()
                raise
            output = child.log.read_text(errors="replace")
        if status:
            raise ServiceFailed(f"{self.kind} {' '.join(arguments)} exited with {status}:\n{output}")
        return output

    def spawn(self) -> None:
        """Start the process and return at once. Call it from the main thread, whose end the process shares."""
        self._child = self._run(["serve"], self.log)

    def wait_ready(self, within: float = READY_WITHIN) -> None:
        """Block until `/readyz` answers 200; raises `ServiceFailed` when it dies or takes too long."""
        deadline = time.monotonic() + within
        answer = "nothing yet"
        while time.monotonic() < deadline:
            if not self.alive():
                raise ServiceFailed(f"{self.kind} exited with {self._exit_code()}\n{self.tail()}")
            try:
                response = http_get(f"{self.url}/readyz", timeout=2)
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            if response.status_code == httpx.codes.OK:
                return
            answer = f"{response.status_code} {response.text}"
            time.sleep(0.05)
        raise ServiceFailed(f"{self.kind} is not ready after {within} s; /readyz: {answer}\n{self.tail()}")

    async def ready(self, within: float = READY_WITHIN) -> None:
        """As `wait_ready`, while the event loop goes on."""
        await asyncio.to_thread(self.wait_ready, within)

    def start(self) -> None:
        """Start the process and block until it is ready."""
        self.spawn()
        self.wait_ready()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), without waiting."""
        self._running().send(signal.SIGTERM)

    def wait_ended(self, within: float = 30) -> int:
        """Block until the process has ended and return its exit status; `ServiceFailed` when it goes on."""
        assert self._child is not None, f"{self.kind} was never started"
        try:
            return self._child.process.wait(within)
        except subprocess.TimeoutExpired:
            raise ServiceFailed(f"{self.kind} still runs after {within} s\n{self.tail()}") from None

    async def ended(self, within: float = 30) -> int:
        """As `wait_ended`, while the event loop goes on."""
        return await asyncio.to_thread(self.wait_ended, within)

    def stop(self) -> None:
        """End it in order; kill it when it does not obey within half a minute. Nothing when it has ended."""
        if self._child is not None:
            self._child.stop(within=30)

    def kill(self) -> None:
        """Kill it (SIGKILL), as a crash would."""
        self._running().kill()

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._running().pause()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._running().resume()

    def tail(self) -> str:
        """The last lines of its output, over all its lives."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-40:])

    def _running(self) -> Child:
        assert self._child is not None, f"{self.kind} was never started"
        return self._child

    def _exit_code(self) -> int | None:
        return self._child.process.poll() if self._child else None

    def _run(self, arguments: Sequence[str], log: Path, *, module: str = "") -> Child:
        """The script with these arguments, or `main` of another module, which is always forked."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment = inherited | self.environment
        command = [str(self.scripts / f"tiercast-{self.kind}"), *arguments]
        if module or (self.forked and self.scripts == SCRIPTS):
            nest = nursery(module or f"tiercast_{self.kind}.main", inherited)
            return ForkedChild(nest.fork(command, environment, log), log)
        return Child(command, env=environment, log=log)
