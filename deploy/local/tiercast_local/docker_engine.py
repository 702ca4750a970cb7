"""Whether a Docker engine answers, and the containers we start on it."""

import socket

from docker.errors import DockerException
from testcontainers.core.docker_client import DockerClient, get_docker_host

RABBITMQ_IMAGE = "rabbitmq:4-management"
POSTGRES_IMAGE = "postgres:17"
DEFAULT_HOST = "unix:///var/run/docker.sock"


def answers() -> bool:
    """Tell whether a Docker engine answers where the environment or Docker's own context says."""
    host = get_docker_host() or DEFAULT_HOST
    if host.startswith("unix://") and not _accepts(host.removeprefix("unix://")):
        return False
    try:
        client = DockerClient(timeout=5).client
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


def _accepts(path: str) -> bool:
    """Ask the socket itself first: Docker's library leaves one open when it is refused."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
