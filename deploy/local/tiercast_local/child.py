"""A server process of our own that cannot outlive us."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_TAIL = 20  # lines shown when a child fails


class Child:
    """A process in a process group of its own, with its output in a file.

    On Linux the kernel kills it when the thread that started it ends, so that not even a `kill -9` of the
    runner leaves a server behind. `user` starts it as that user, which needs root.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], log: Path, user: str | None = None) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*dies_with_parent(user), *command],
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process, which is also that of its group."""
        return self.process.pid

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, which may have ended."""
        if self.alive():
            self.process.send_signal(number)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP); on Linux it stands still, with all its threads, when this returns."""
        self.send(signal.SIGSTOP)
        while any(state not in "TZX" for state in thread_states(self.pid)):
            time.sleep(0.001)  # only a parent could wait for it, and not every process here is a child of this one

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 15) -> None:
        """Ask the process to end with `number`, and kill its group when it has not after `within` seconds."""
        self.send(number)
        self.send(signal.SIGCONT)  # a stopped process would not hear it
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        self.kill()

    def kill(self) -> None:
        """Kill the whole group at once (SIGKILL) and wait for the process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def tail(self) -> str:
        """Return the last lines of the process's output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-LOG_TAIL:])


def dies_with_parent(user: str | None = None) -> list[str]:
    """Return what to put before a command so that it runs as `user` and is killed when our thread ends (Linux)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ["runuser", "-u", user, "--"] if user else []
    identity = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
    return [setpriv, *identity, "--pdeathsig", "KILL", "--"]


def thread_states(pid: int) -> list[str]:
    """The state of each thread of a process, as proc(5) has them: R runs, S sleeps, T is stopped; none where there is no /proc."""
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return states
