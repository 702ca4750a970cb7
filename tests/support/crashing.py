"""Ingest as a process that ends like a crash at a chosen edge of a commit; its arguments are EDGE and PASSAGES.

It is built by its own composition root, with one collaborator wrapped; its settings come from the environment, as always.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import NoReturn

from tests.support.services import Service
from tiercast_ingest.app import serve
from tiercast_ingest.command_line import run
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.settings import IngestSettings
from tiercast_ingest.writer import SignalWriter
from tiercast_shared.eventlog.beacon import BEACON
from tiercast_shared.eventlog.publisher import EventOutlet
from tiercast_shared.messaging.broker import OutgoingEvent, Outlet
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import load_settings

CRASHED = 42
"""Exit status of a process that reached its edge."""

TURNS_TO_WRITE = 5
"""Turns of the event loop in which a publish reaches the kernel; a confirm takes the broker far longer."""


class Edge(StrEnum):
    """Where a process may die with something half done."""

    AFTER_COMMIT = "after-commit"
    """Committed; nobody was answered, nothing acknowledged, nothing published."""
    AFTER_PUBLISH = "after-publish"
    """The broker has the bytes; no confirm has come."""
    AFTER_CONFIRM = "after-confirm"
    """Confirmed; the cursor has not moved."""


class CrashingIngest(Service):
    """A replica of ingest that can also be started so that it dies at an edge."""

    def spawn_crashing(self, edge: Edge, passages: int) -> None:
        """Start the process; it exits with `CRASHED` at the `passages`-th time that it reaches `edge`."""
        self._child = self._run([edge, str(passages)], self.log, module="tests.support.crashing")


class Passages:
    """Counts how often the edge was reached."""

    def __init__(self, left: int) -> None:
        self._left = left

    def passed(self) -> None:
        """Exit, without any clean-up, when this is the one."""
        self._left -= 1
        if self._left == 0:
            die()


def die() -> NoReturn:
    """End this process as `kill -9` would."""
    os._exit(CRASHED)


class WriterThatDies(SignalWriter):
    """Commits, and may never say so."""

    passages: Passages

    async def commit(self, batch: Sequence[Submission]) -> list[Stored | Exception]:
        """Commit a batch."""
        outcomes = await super().commit(batch)
        if any(isinstance(outcome, Stored) and not outcome.duplicate for outcome in outcomes):
            self.passages.passed()
        return outcomes


class OutletThatDies:
    """Publishes, and may never say so. Beacons do not count."""

    def __init__(self, inner: Outlet, edge: Edge, passages: Passages) -> None:
        self._inner = inner
        self._edge = edge
        self._passages = passages

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish in order."""
        if events[0].type == BEACON:
            await self._inner.publish(events)
            return
        publishing = asyncio.ensure_future(self._inner.publish(events))
        if self._edge is Edge.AFTER_PUBLISH:
            for _ in range(TURNS_TO_WRITE):
                await asyncio.sleep(0)
            if not publishing.done():
                self._passages.passed()
        await publishing
        if self._edge is Edge.AFTER_CONFIRM:
            self._passages.passed()


def outlet_that_dies(edge: Edge, passages: Passages) -> Callable[..., AbstractAsyncContextManager[EventOutlet]]:
    """`Outlet.open`, wrapped."""

    @asynccontextmanager
    async def open_outlet(url: str, exchange: str, *, name: str) -> AsyncIterator[EventOutlet]:
        async with Outlet.open(url, exchange, name=name) as outlet:
            yield OutletThatDies(outlet, edge, passages)

    return open_outlet


def main() -> None:
    """Serve until the edge is reached."""
    edge, passages = Edge(sys.argv[1]), Passages(int(sys.argv[2]))
    settings = load_settings(IngestSettings)
    configure_logging("ingest", level=settings.log_level, log_format=settings.log_format)
    if edge is Edge.AFTER_COMMIT:
        WriterThatDies.passages = passages
        run(serve(settings, make_writer=WriterThatDies))
    else:
        run(serve(settings, open_outlet=outlet_that_dies(edge, passages)))
