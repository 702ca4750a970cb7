"""Fixtures for all tests: servers, namespaces on them, database URLs."""

import os
import random
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import Backends
from tests.support.breakable import BreakableBroker, BreakablePostgres
from tests.support.node import Node, find_node
from tests.support.postgres import Postgres
from tests.support.rabbitmq import Broker, VirtualHost
from tests.support.services import Service
from tests.support.stack import Stack
from tests.support.stack_factory import STACKS, StackFactory

BACKENDS = pytest.StashKey[Backends]()
NODE_PRODUCER = Path(__file__).parent / "e2e" / "node" / "publish.mjs"


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("FAULT_FORM") != "long":
        os.environ.setdefault("FAULT_SEED", str(random.randrange(1_000_000)))  # one for all workers, which inherit it
    config.stash[BACKENDS] = Backends()
    Service.forked = True  # each of hundreds of starts takes seconds to import otherwise


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[BACKENDS].close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker's summary goes home with it (pytest-xdist)."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["backends"] = session.config.stash[BACKENDS].summary


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    summary = node.config.stash[BACKENDS].summary
    summary += [line for line in getattr(node, "workeroutput", {}).get("backends", []) if line not in summary]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[BACKENDS].summary:
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the services' last log lines with a test that failed on them."""
    report = yield
    if report.failed:
        for service in (service for stack in _stacks(item) for service in stack.services):
            report.sections.append((f"log of {service.log.stem}", service.tail()))
    return report


def _stacks(item: pytest.Item) -> list[Stack]:
    return [stack for node in item.listchain() for stack in node.stash.get(STACKS, [])]


@pytest.fixture(scope="session")
def backends(pytestconfig: pytest.Config) -> Backends:
    return pytestconfig.stash[BACKENDS]


@pytest.fixture(scope="session")
def broker(backends: Backends) -> Broker:
    """The shared RabbitMQ."""
    return backends.broker()


@pytest.fixture
def virtual_host(broker: Broker) -> Iterator[VirtualHost]:
    """A fresh virtual host on the shared RabbitMQ."""
    host = broker.virtual_host()
    yield host
    host.delete()


@pytest.fixture
def amqp_url(virtual_host: VirtualHost) -> str:
    """AMQP URL of a fresh virtual host."""
    return virtual_host.url


@pytest.fixture(scope="session")
def postgres(backends: Backends) -> Postgres:
    """The shared PostgreSQL server."""
    return backends.postgres()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """SQLAlchemy URL (asyncpg) of a fresh PostgreSQL database."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """SQLAlchemy URL (aiosqlite) of an SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path}/test.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLAlchemy URL of a fresh, empty database: the test runs once on each kind."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def breakable_broker(backends: Backends) -> BreakableBroker:
    """A RabbitMQ of its own that the test may kill, stop, restart and pause; running when the test begins."""
    return backends.breakable_broker()


@pytest.fixture
def breakable_postgres(backends: Backends) -> BreakablePostgres:
    """A PostgreSQL server of its own that the test may stop and restart; running when the test begins."""
    return backends.breakable_postgres()


@pytest.fixture
def make_stack(request: pytest.FixtureRequest, backends: Backends, tmp_path: Path) -> Iterator[StackFactory]:
    """Starts stacks for this test alone: `make_stack(gateways=3, database="postgresql")`."""
    with StackFactory(backends, request.node, tmp_path) as factory:
        yield factory


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A whole Tiercast (one gateway, SQLite) shared by a module's tests: use users and signal ids of your own."""
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        yield factory()


@pytest.fixture(scope="session")
def node(backends: Backends) -> Node:
    """Node, with the packages of `tests/e2e/node` installed."""
    found = find_node()
    found.install_packages(NODE_PRODUCER.parent)
    backends.summary.append(f"Node: {found.version()}")
    return found
