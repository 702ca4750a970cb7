"""Finds the servers that tests stand on: an environment URL, Docker, a private local server, the package.

Each is found when the first test asks for it, and never silently left out: a test that cannot have its
server fails with the choices there are.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from docker.errors import DockerException

from tests.support import breakable_containers, containers
from tests.support.breakable import BreakableBroker, BreakablePostgres
from tests.support.postgres import Postgres
from tests.support.rabbitmq import Broker, management_api
from tiercast_local import amqp, docker_engine, postgres_server, rabbitmq_node
from tiercast_local.private_servers import private_postgres, private_rabbitmq
from tiercast_local.rabbitmq_node import RabbitMQNode
from tiercast_local.sql import fetch_value

Server = TypeVar("Server")


class Backends:
    """The servers of one test session, started when first asked for and ended by `close`."""

    def __init__(self) -> None:
        self._broker: Broker | None = None
        self._postgres: Postgres | None = None
        self._breakable_broker: BreakableBroker | None = None
        self._breakable_postgres: BreakablePostgres | None = None
        self._ends: list[Callable[[], None]] = []
        self.summary: list[str] = []
        self.versions: dict[str, str] = {}
        """Of the servers that were started so far."""

    def broker(self) -> Broker:
        """The shared broker."""
        if self._broker is None:
            self._broker = self._find_broker()
            self._ends.append(self._broker.close)
            self.versions["RabbitMQ"] = amqp.version(self._broker.url)
            self.summary.append(f"RabbitMQ: {self._broker.description}")
        return self._broker

    def postgres(self) -> Postgres:
        """The shared PostgreSQL server."""
        if self._postgres is None:
            self._postgres = self._find_postgres()
            self._ends.append(self._postgres.close)
            self.versions["PostgreSQL"] = _postgres_version(self._postgres.url)
            self.summary.append(f"PostgreSQL: {self._postgres.description}")
        return self._postgres

    def breakable_broker(self) -> BreakableBroker:
        """A running RabbitMQ apart from the shared one, to be killed, stopped and frozen by fault tests."""
        if self._breakable_broker is None:
            self._breakable_broker = self._find_breakable_broker()
        broker = self._breakable_broker
        if broker.running():
            broker.resume()
        broker.start()
        self.versions.setdefault("RabbitMQ", amqp.version(broker.url))
        return broker

    def breakable_postgres(self) -> BreakablePostgres:
        """A running PostgreSQL apart from the shared one, for fault tests."""
        if self._breakable_postgres is None:
            self._breakable_postgres = self._find_breakable_postgres()
        self._breakable_postgres.start()
        self.versions.setdefault("PostgreSQL", _postgres_version(self._breakable_postgres.url()))
        return self._breakable_postgres

    def close(self) -> None:
        """End everything that was started here."""
        while self._ends:
            self._ends.pop()()

    def _find_broker(self) -> Broker:
        if url := os.environ.get("TEST_AMQP_URL"):
            api = management_api(url, os.environ.get("TEST_RABBITMQ_API_URL"))
            return Broker("server of TEST_AMQP_URL", url, api, lambda: None)
        if docker_engine.answers() and (container := self._from_docker(containers.rabbitmq)):
            return container
        node = private_rabbitmq(self._directory("rabbitmq"), variable="TEST_AMQP_URL", management=True)
        node.start()
        return Broker("private local server", node.url, f"{node.api_url}/", lambda: _discard_node(node))

    def _find_postgres(self) -> Postgres:
        if url := os.environ.get("TEST_POSTGRES_URL"):
            return Postgres(
                "server of TEST_POSTGRES_URL", urlsplit(url)._replace(scheme="postgresql").geturl(), lambda: None
            )
        if docker_engine.answers() and (container := self._from_docker(containers.postgres)):
            return container
        directory = self._directory("postgres") / "data"
        server = private_postgres(directory, variable="TEST_POSTGRES_URL", durable=False)
        server.start()
        return Postgres("private local server", server.url(), server.stop_immediately)

    def _find_breakable_broker(self) -> BreakableBroker:
        """Prefer a private server, on which faults can be caused in more ways than on a container."""
        if rabbitmq_node.installed_scripts() is None and docker_engine.answers():
            container = breakable_containers.ContainerBroker()
            self._ends.append(container.remove)
            self.summary.append("RabbitMQ to break: Docker container")
            return container
        node = private_rabbitmq(self._directory("rabbitmq"), variable="TEST_AMQP_URL", management=True)
        self._ends.append(lambda: _discard_node(node))
        self.summary.append("RabbitMQ to break: private local server")
        return node

    def _find_breakable_postgres(self) -> BreakablePostgres:
        if postgres_server.installed_programs() is None and docker_engine.answers():
            container = breakable_containers.ContainerPostgres()
            self._ends.append(container.remove)
            self.summary.append("PostgreSQL to break: Docker container")
            return container
        server = private_postgres(self._directory("postgres") / "data", variable="TEST_POSTGRES_URL")
        self._ends.append(server.stop_immediately)
        self.summary.append("PostgreSQL to break: private local server")
        return server

    def _from_docker(self, start: Callable[[], Server]) -> Server | None:
        """Start a container; None, noted in the summary, when the engine cannot (an image that cannot be had)."""
        try:
            return start()
        except DockerException as error:
            self.summary.append(f"Docker answers, but {error}")
            return None

    def _directory(self, name: str) -> Path:
        directory = Path(tempfile.mkdtemp(prefix=f"tiercast-{name}-"))
        directory.chmod(0o711)  # PostgreSQL's own user must be able to enter
        self._ends.append(lambda: shutil.rmtree(directory, ignore_errors=True))
        return directory


def _postgres_version(url: str) -> str:
    return str(fetch_value(url, "SHOW server_version")).split()[0]


def _discard_node(node: RabbitMQNode) -> None:
    node.kill()  # its data goes too, so there is no reason to wait for an orderly stop
    node.stop()
