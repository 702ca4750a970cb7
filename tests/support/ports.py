"""Ports that are still free after a restart."""

import random
from pathlib import Path

from tiercast_local.ports import free_port, is_free

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_240


def lasting_port() -> int:
    """Return a free port that the kernel gives to no outgoing connection.

    Any other may be taken by one in the moment between the end of a service and its next start.
    """
    try:
        first_ephemeral = int(EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError):
        return free_port()
    for _ in range(1000):
        port = random.randrange(LOWEST, max(first_ephemeral, LOWEST + 1))
        if is_free(port):
            return port
    return free_port()
