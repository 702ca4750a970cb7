"""Ports that are still free after a restart."""

import os
import random
from pathlib import Path

from tiercast_local.ports import free_port, is_free

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_240

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_given: set[int] = set()
"""By this process: a port is bound only when its service starts, and until then it looks free to the next who asks."""

_random = random.SystemRandom()
"""Not the one that a test may have given a seed."""


def lasting_port() -> int:
    """Return a free port that the kernel gives to no outgoing connection, and that no other test worker is given.

    Any other may be taken by one in the moment between the end of a service and its next start.
    """
    try:
        first_ephemeral = int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        return free_port()
    for _ in range(1000):
        port = _random.randrange(LOWEST + WORKER, max(first_ephemeral, LOWEST + WORKER + 1), WORKERS)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    return free_port()
