"""Programs run side by side, and stop together."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tiercast_local.errors import LocalError
from tiercast_local.supervisor import Program, Supervisor

SLEEPER = "import time; print('running', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"

OBEDIENT = """
import pathlib, signal
path = pathlib.Path({path!r})
def stop(*_):
    path.write_text("stopped")
    raise SystemExit
signal.signal(signal.SIGTERM, stop)
path.write_text("running")
signal.pause()
"""
FAILING = """
import pathlib, time
while not pathlib.Path({path!r}).exists():
    time.sleep(0.01)
raise SystemExit(3)
"""


def program(name: str, code: str) -> Program:
    return Program(name, [sys.executable, "-c", code], dict(os.environ))


async def nothing() -> None:
    pass


async def stop_when_printed(capfd: pytest.CaptureFixture[str], *words: str) -> None:
    """Ask for a stop, as Ctrl-C would, once all words were printed."""
    seen = ""
    while not all(word in seen for word in words):
        seen += capfd.readouterr().out
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


async def test_a_signal_stops_every_program(capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([program("one", SLEEPER), program("other", SLEEPER)])

    async with asyncio.timeout(30):
        await supervisor.run(stop_when_printed(capfd, "one   | running", "other | running"))


async def test_a_program_that_ends_is_named_and_the_others_stop(tmp_path: Path) -> None:
    obeyed = tmp_path / "obeyed"
    supervisor = Supervisor(
        [program("one", OBEDIENT.format(path=str(obeyed))), program("other", FAILING.format(path=str(obeyed)))]
    )

    with pytest.raises(LocalError, match="other ended with status 3"):
        await supervisor.run(nothing())

    assert obeyed.read_text() == "stopped"


async def test_a_program_that_does_not_obey_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([program("stubborn", DEAF)], stop_within=0.2)

    async with asyncio.timeout(30):
        await supervisor.run(stop_when_printed(capfd, "deaf"))

    assert "killing stubborn" in capfd.readouterr().err


async def test_a_failure_after_the_start_stops_everything(capfd: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise LocalError("not ready")

    async with asyncio.timeout(30):
        with pytest.raises(LocalError, match="not ready"):
            await Supervisor([program("one", SLEEPER)]).run(fail())
