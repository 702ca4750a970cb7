"""A broker and a database server to break, as containers on ports that stay the same over restarts."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.support.containers import PostgresContainer, RabbitMqContainer
from tiercast_local import amqp
from tiercast_local.docker_engine import POSTGRES_IMAGE, RABBITMQ_IMAGE
from tiercast_local.errors import LocalError, NotReady
from tiercast_local.ports import free_port
from tiercast_local.sql import DatabaseServer

USER = "tiercast"
READY_WITHIN = 60.0  # seconds
REGISTRATIONS = "/var/lib/rabbitmq/mnesia/*/quorum/*/names.dets"


class Restartable:
    """A container that may end and be started again with its data."""

    def __init__(self, container: Any, answers: Callable[[], bool]) -> None:
        self._container = container
        self._answers = answers
        self._created = False

    def status(self) -> str:
        """Docker's word for its state."""
        if not self._created:
            return "absent"
        self.docker.reload()
        return str(self.docker.status)

    @property
    def docker(self) -> Any:
        """The container of Docker's own library."""
        return self._container.get_wrapped_container()

    def start(self) -> None:
        """Create it, or start it again, and return when it answers."""
        if self.status() == "running":
            return
        if self._created:
            self.docker.start()
        else:
            self._container.start()
            self._created = True
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if time.monotonic() > deadline:
                raise NotReady(f"{self.docker.image} does not answer:\n{self.docker.logs(tail=20).decode()}")
            time.sleep(0.1)

    def end(self, signal: str) -> None:
        """End it by a signal to its first process."""
        if self.status() == "running":
            self.docker.kill(signal)
            self.docker.wait(timeout=READY_WITHIN)

    def remove(self) -> None:
        """Remove it with its data."""
        if self._created:
            self._container.stop()


class ContainerBroker:
    """RabbitMQ in a container; see `BreakableBroker`."""

    def __init__(self) -> None:
        self.port, self._api_port = free_port(), free_port()
        self._password = secrets.token_hex(12)
        container = RabbitMqContainer(RABBITMQ_IMAGE, username=USER, password=self._password)
        container.with_bind_ports(5672, self.port).with_bind_ports(15672, self._api_port)
        container.with_kwargs(hostname=USER)  # RabbitMQ's data belong to a host's name
        self._host = container.get_docker_client().host()
        self._state = Restartable(container, lambda: amqp.answers(self.url))

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self._password}@{self._host}:{self.port}/"

    @property
    def api_url(self) -> str:
        return f"http://{USER}:{self._password}@{self._host}:{self._api_port}/api"

    def running(self) -> bool:
        return self._state.status() in {"running", "paused"}

    def start(self) -> None:
        self._state.start()

    def stop(self) -> None:
        self._state.end("SIGTERM")

    def kill(self) -> None:
        self.resume()
        self._state.end("SIGKILL")

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        self._state.docker.pause()

    def resume(self) -> None:
        if self._state.status() == "paused":
            self._state.docker.unpause()

    def ctl(self, *arguments: str) -> str:
        status, output = self._state.docker.exec_run(["rabbitmqctl", "--quiet", *arguments])
        if status:
            raise LocalError(f"rabbitmqctl {' '.join(arguments)}: {output.decode()}")
        return str(output.decode())

    def await_on_disk(self, quorum_queue: str, within: float = 15) -> None:
        deadline = time.monotonic() + within
        search = ["sh", "-c", f"grep -aqF '{quorum_queue}' {REGISTRATIONS}"]
        while self._state.docker.exec_run(search)[0]:
            if time.monotonic() > deadline:
                raise NotReady(f"quorum queue {quorum_queue!r} is not on disk after {within} s")
            time.sleep(0.1)

    def remove(self) -> None:
        self._state.remove()


class ContainerPostgres(DatabaseServer):
    """PostgreSQL in a container; see `BreakablePostgres`."""

    def __init__(self) -> None:
        self._port = free_port()
        self._password = secrets.token_hex(12)
        container = PostgresContainer(
            POSTGRES_IMAGE, username=USER, password=self._password, dbname="postgres", driver=None
        )
        container.with_bind_ports(5432, self._port)
        self._host = container.get_docker_client().host()
        self._state = Restartable(container, self.answers)

    def url(self, database: str = "postgres", driver: str = "postgresql") -> str:
        return f"{driver}://{USER}:{self._password}@{self._host}:{self._port}/{database}"

    def running(self) -> bool:
        return self._state.status() == "running"

    def start(self) -> None:
        self._state.start()

    def stop(self) -> None:
        self._state.end("SIGINT")

    def stop_immediately(self) -> None:
        self._state.end("SIGQUIT")

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        self._state.remove()
