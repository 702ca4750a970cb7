"""Finds a RabbitMQ for `make up`: a told one, a container, a private child."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from docker.errors import DockerException

from tiercast_local import amqp, docker_engine
from tiercast_local.errors import LocalError
from tiercast_local.ports import accepts, is_free
from tiercast_local.private_servers import private_rabbitmq


@dataclass(frozen=True)
class Broker:
    """A running RabbitMQ. If we started it, `stop` ends it and `running` tells whether it still lives."""

    url: str
    description: str
    stop: Callable[[], None] = lambda: None
    running: Callable[[], bool] = lambda: True


def find_broker(data: Path, previous_url: str | None, environ: Mapping[str, str] = os.environ) -> Broker:
    """Return a broker that accepts connections.

    A private one keeps its data under `data` and the port of `previous_url` if that is still free
    (`RABBITMQ_PORT` overrides it). Raises `LocalError` that says what is missing.
    """
    if told := environ.get("AMQP_URL"):
        _require_reachable(told)
        return Broker(told, "the broker of AMQP_URL")
    if docker_engine.answers() and (container := _container()):
        return container
    node = private_rabbitmq(data / "rabbitmq", variable="AMQP_URL", port=_port(environ, previous_url))
    node.start()
    return Broker(node.url, f"private RabbitMQ {node.version()}, data in {node.directory}", node.stop, node.running)


def without_password(url: str) -> str:
    """Return a broker's URL fit to be shown."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{parts.username or 'guest'}:***@{parts.hostname}{port}").geturl()


def _require_reachable(url: str) -> None:
    parts = urlsplit(url)
    shown = without_password(url)
    if not accepts(parts.port or (5671 if parts.scheme == "amqps" else 5672), parts.hostname or "localhost"):
        raise LocalError(f"nothing answers at AMQP_URL={shown}: start that broker, or unset AMQP_URL")
    try:
        amqp.version(url)
    except amqp.NO_CONNECTION as error:
        raise LocalError(f"the broker of AMQP_URL={shown} refuses us: {error!r}") from error


def _port(environ: Mapping[str, str], previous_url: str | None) -> int | None:
    told = environ.get("RABBITMQ_PORT")
    if told is None:
        previous = urlsplit(previous_url or "").port
        return previous if previous and is_free(previous) else None
    if not told.isdecimal() or not is_free(int(told)):
        raise LocalError(f"port {told} cannot be used; set RABBITMQ_PORT to another one or to none")
    return int(told)


def _container() -> Broker | None:
    """Return a broker in a container, or None after saying why there is none (an image that cannot be had)."""
    from testcontainers.community.rabbitmq import RabbitMqContainer  # noqa: PLC0415 -- slow, and rarely needed

    container = RabbitMqContainer(docker_engine.RABBITMQ_IMAGE, username="tiercast", password=secrets.token_urlsafe(18))
    try:
        container.start()
    except DockerException as error:
        print(f"tiercast: Docker answers, but {error}; trying without it", file=sys.stderr, flush=True)
        return None
    except BaseException:  # a Ctrl-C too
        container.stop()
        raise
    login = f"{container.username}:{container.password}@{container.get_container_host_ip()}"
    url = f"amqp://{login}:{container.get_exposed_port(container.port)}/"
    return Broker(url, f"Docker container of {docker_engine.RABBITMQ_IMAGE}", container.stop)
