"""Starts whole stacks for tests, and ends them with the tests' scope."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.backends import Backends
from tests.support.stack import Stack

STACKS = pytest.StashKey[list[Stack]]()


class StackFactory:
    """A context manager: at its end all stacks it started end, with their virtual hosts and databases.

    The stacks are noted at `node`, so that a failing test can show what its services logged.
    """

    def __init__(self, backends: Backends, node: pytest.Item | pytest.Collector, directory: Path) -> None:
        self._backends = backends
        self._directory = directory
        self._ends = ExitStack()
        self._stacks = node.stash.setdefault(STACKS, [])

    def __call__(
        self,
        *,
        gateways: int = 1,
        database: str = "sqlite",
        amqp_url: str | None = None,
        settings: dict[str, str] | None = None,
        start: bool = True,
    ) -> Stack:
        """Return a started stack on a virtual host of its own, or on `amqp_url`; `database` is a dialect's name."""
        directory = self._directory / f"stack-{len(self._stacks)}"
        directory.mkdir()
        stack = Stack(
            directory,
            amqp_url=amqp_url or self._virtual_host(),
            ingest_database=self._database(database, directory / "ingest.db"),
            tiers_database=self._database(database, directory / "tiers.db"),
            gateways=gateways,
            settings=settings,
        )
        self._stacks.append(stack)
        self._ends.callback(stack.stop)
        if start:
            stack.start()
        return stack

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ends.close()

    def _virtual_host(self) -> str:
        host = self._backends.broker().virtual_host()
        self._ends.callback(host.delete)
        return host.url

    def _database(self, dialect: str, file: Path) -> str:
        if dialect == "sqlite":
            return f"sqlite+aiosqlite:///{file}"
        postgres = self._backends.postgres()
        url = postgres.create_database()
        self._ends.callback(postgres.drop_database, url)
        return url
