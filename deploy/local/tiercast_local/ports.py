"""TCP ports on the loopback interface."""

import socket
import time

LOOPBACK = "127.0.0.1"


_given: set[int] = set()
"""By this process: a port is bound only when its server starts, and until then the kernel may pick it again."""


def free_port() -> int:
    """Return a port that nobody listens on at the moment, as the kernel picks it, and never the same one twice."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now (connections still closing do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether something accepts connections at `host:port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def wait_until_free(port: int, within: float = 10) -> bool:
    """Wait until `port` can be listened on again after its server went; tell whether that happened."""
    deadline = time.monotonic() + within
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
