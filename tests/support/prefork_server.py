"""The process that a service's processes are forked from in tests.

    python -m tests.support.prefork_server MODULE

Each runs `main` of this module, which is imported once. Requests come over its standard input, a socket, and each is answered: one
to fork a process with its id, one to tell of a process's end with its exit status.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
REQUEST_BYTES = 1 << 20


def serve(module: str, requests: socket.socket) -> Callable[[], Any] | None:
    """Answer requests until nobody asks any more; in a forked process, return what it is to run."""
    main: Callable[[], Any] = importlib.import_module(module).main
    requests.send(b"0")
    while request := requests.recv(REQUEST_BYTES):
        asked = json.loads(request)
        if "ended" in asked:
            _, status = os.waitpid(asked["ended"], 0)
            requests.send(b"%d" % os.waitstatus_to_exitcode(status))
        elif pid := os.fork():
            with contextlib.suppress(ProcessLookupError):
                os.setpgid(pid, pid)  # here too: the group must be there when the answer is
            requests.send(b"%d" % pid)
        else:
            requests.close()
            become(asked)
            return main
    return None


def become(asked: Mapping[str, Any]) -> None:
    """Make of this fork the process that was asked for."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = asked["command"]
    with Path(os.devnull).open("rb") as nothing, Path(asked["log"]).open("ab") as log:
        for descriptor, file in enumerate((nothing, log, log)):
            os.dup2(file.fileno(), descriptor)


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(0)) as requests:
        run = serve(sys.argv[1], requests)
    if run is not None:
        run()
