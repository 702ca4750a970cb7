"""The servers that tests stand on as Docker containers."""

import warnings

from tests.support.postgres import Postgres
from tests.support.rabbitmq import Broker
from tiercast_local.docker_engine import POSTGRES_IMAGE, RABBITMQ_IMAGE

__all__ = ["PostgresContainer", "RabbitMqContainer", "postgres", "rabbitmq"]

with warnings.catch_warnings():
    # The module decorates its own class with something it has deprecated itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.rabbitmq import RabbitMqContainer


def rabbitmq() -> Broker:
    container = RabbitMqContainer(RABBITMQ_IMAGE).with_exposed_ports(15672)
    container.start()
    host = container.get_container_host_ip()
    login = f"{container.username}:{container.password}@{host}"
    url = f"amqp://{login}:{container.get_exposed_port(5672)}/"
    api = f"http://{login}:{container.get_exposed_port(15672)}/api/"
    return Broker("Docker container", url, api, container.stop)


def postgres() -> Postgres:
    container = PostgresContainer(POSTGRES_IMAGE, driver=None)
    container.start()
    return Postgres("Docker container", container.get_connection_url(), container.stop)
