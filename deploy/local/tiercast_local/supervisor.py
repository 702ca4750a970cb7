"""Runs several programs side by side until one ends or a signal asks all to stop."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from tiercast_local.child import dies_with_parent
from tiercast_local.errors import LocalError

STOP_WITHIN = 10.0  # seconds until a program that does not obey SIGTERM is killed
LONGEST_LINE = 2**20  # bytes


@dataclass(frozen=True)
class Program:
    """A command and the name before each line of its output."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


class Supervisor:
    """Starts programs, prints their output with their names, and stops them all together."""

    def __init__(self, programs: Sequence[Program], stop_within: float = STOP_WITHIN) -> None:
        self._programs = programs
        self._stop_within = stop_within
        self._printer = Printer(sys.stdout, width=max(len(program.name) for program in programs))
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._asked = asyncio.Event()

    async def run(self, when_started: Coroutine[Any, Any, None]) -> None:
        """Run until SIGINT or SIGTERM, and `when_started` beside it.

        Raises what `when_started` raises, or `LocalError` naming the program that ended by itself. Everything
        is stopped in either case; a second signal kills what still runs.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop_or_kill)
        colours = get_colours()
        for program in self._programs:
            process = await _start(program)
            self._running[program.name] = process
            self._readers.append(asyncio.create_task(self._print_output(program.name, process, next(colours))))
        endings = [asyncio.create_task(self._asked.wait()), *map(asyncio.create_task, self._endings())]
        started = asyncio.create_task(when_started)
        try:
            await _first_of(endings, started)
        finally:
            await _cancel([*endings, started])
            await self._stop_all()
            await asyncio.gather(*self._readers)

    def _endings(self) -> list[Coroutine[Any, Any, None]]:
        return [self._report_end(name, process) for name, process in self._running.items()]

    async def _report_end(self, name: str, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        raise LocalError(f"{name} ended with status {status}; its last lines above say why")

    def _stop_or_kill(self) -> None:
        if self._asked.is_set():
            self._signal_all(signal.SIGKILL)
        self._asked.set()

    async def _stop_all(self) -> None:
        self._signal_all(signal.SIGTERM)
        ended = asyncio.gather(*(process.wait() for process in self._running.values()))
        try:
            async with asyncio.timeout(self._stop_within):
                await asyncio.shield(ended)
        except TimeoutError:
            names = [name for name, process in self._running.items() if process.returncode is None]
            sys.stderr.write(f"killing {', '.join(names)}: still running after {self._stop_within:.0f} s\n")
            self._signal_all(signal.SIGKILL)
            await ended

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._running.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)

    async def _print_output(self, name: str, process: asyncio.subprocess.Process, colour: str) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._printer.write(Message("line", line, datetime.now().astimezone(), name, colour))


async def _start(program: Program) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *dies_with_parent(),
        *program.command,
        env=program.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C reaches us only, and we stop things in order
        limit=LONGEST_LINE,
    )


async def _first_of(endings: Sequence["asyncio.Task[Any]"], started: "asyncio.Task[None]") -> None:
    """Wait for one of `endings`; `started` may end well at any time, and ends the wait when it fails."""
    done, _ = await asyncio.wait([*endings, started], return_when=asyncio.FIRST_COMPLETED)
    if started in done and not started.exception():
        done, _ = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
