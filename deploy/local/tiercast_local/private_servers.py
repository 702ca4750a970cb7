"""Servers of our own, installed first where that is possible."""

from pathlib import Path

from tiercast_local import debian, postgres_server, rabbitmq_node
from tiercast_local.errors import Missing
from tiercast_local.postgres_server import PostgresServer
from tiercast_local.rabbitmq_node import RabbitMQNode


def private_rabbitmq(
    directory: Path, *, variable: str, port: int | None = None, management: bool = False
) -> RabbitMQNode:
    """Return a node with its data in `directory`, not yet started; as root on Debian, install the package.

    Raises `Missing`, naming the environment `variable` that would point to a broker elsewhere.
    """
    if rabbitmq_node.installed_scripts() is None:
        _install("rabbitmq-server", "RabbitMQ", variable)
    return RabbitMQNode(directory, port=port, management=management)


def private_postgres(directory: Path, *, variable: str, durable: bool = True) -> PostgresServer:
    """Return a server with its data in `directory`, not yet started; as root on Debian, install the package.

    Raises `Missing`, naming the environment `variable` that would point to a server elsewhere.
    """
    if postgres_server.installed_programs() is None:
        _install("postgresql", "PostgreSQL", variable)
    return PostgresServer(directory, durable=durable)


def _install(package: str, server: str, variable: str) -> None:
    if not debian.can_install():
        raise Missing(
            f"{server} is needed, and there is none here. Choose one:\n"
            f"  - point {variable} to a running {server}\n"
            f"  - start a Docker engine that this user may use\n"
            f"  - install the package {package} (it need not run; a private one is started)"
        )
    debian.install(package)
