"""`make up`: everything of Tiercast on this machine, until Ctrl-C."""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tiercast_local import dev_env, env_file
from tiercast_local.broker import Broker, find_broker
from tiercast_local.dashboard import build_dashboard
from tiercast_local.errors import LocalError, NotReady
from tiercast_local.local_services import MIGRATED, SERVICES, LocalService, require_free_ports, url
from tiercast_local.summary import summary
from tiercast_local.supervisor import Program, Supervisor
from tiercast_local.users import OPS, TIER_NAMES, make_token, set_tier

READY_WITHIN = 60.0  # seconds for all services together
BROKER_CHECK = 0.5  # seconds between two looks at whether it lives


def up(environ: Mapping[str, str] = os.environ) -> None:
    """Start everything, print where it is, and return when a signal has stopped it again.

    Raises `LocalError` when a part is missing, does not become ready, or ends by itself.
    """
    data = dev_env.data_directory(environ)
    data.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with contextlib.suppress(KeyboardInterrupt), _only_one(data):
        require_free_ports({name: port for service in SERVICES for name, port in service.ports(environ).items()})
        _say("starting the broker and migrating the databases")
        with ThreadPoolExecutor(2) as threads:
            built = threads.submit(_dashboard, environ)
            migrated = threads.submit(_migrate, dict(environ) | dev_env.in_use(environ, data, amqp_url=""))
            previous = env_file.read(data / "dev.env").get("AMQP_URL")
            broker = find_broker(data, previous, environ)
        try:
            migrated.result()
            _run_services(broker, data, dict(environ) | built.result())
        finally:
            _finish(broker)
    _say("stopped")


def _run_services(broker: Broker, data: Path, environ: Mapping[str, str]) -> None:
    values = dev_env.save(environ, data, broker.url)
    env = _service_environment(environ, values)
    _say("starting the services")
    programs = [Program(service.name, [service.command, "serve"], env) for service in SERVICES]
    dashboard = bool(env.get("GATEWAY_DASHBOARD_DIR"))
    asyncio.run(Supervisor(programs).run(_announce_and_watch(values, broker, dashboard=dashboard)))


async def _announce_and_watch(values: Mapping[str, str], broker: Broker, *, dashboard: bool) -> None:
    """Wait until all services are ready, print the summary, and raise when the broker ends."""
    deadline = time.monotonic() + READY_WITHIN
    async with httpx.AsyncClient(verify=False, timeout=2) as http:
        for service in SERVICES:
            await _await_ready(http, service, url(service, values), deadline)
    tokens = await asyncio.to_thread(_tokens, values)
    print(summary(values, broker, tokens, dashboard=dashboard), flush=True)
    while broker.running():  # noqa: ASYNC110 -- a process that ends sets no event of ours
        await asyncio.sleep(BROKER_CHECK)
    raise LocalError(f"the broker ended ({broker.description})")


async def _await_ready(http: httpx.AsyncClient, service: LocalService, address: str, deadline: float) -> None:
    answer = "no answer"
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            response = await http.get(f"{address}/readyz")
            if response.is_success:
                return
            answer = response.text
        await asyncio.sleep(0.1)
    raise NotReady(f"{service.name} is not ready after {READY_WITHIN:.0f} s; {address}/readyz says: {answer}")


def _tokens(values: Mapping[str, str]) -> dict[str, str]:
    """Return a token for one user of each tier, named like it, and one for the operations page."""
    for tier in TIER_NAMES:
        set_tier(values, tier, tier, "make up")
    return {tier: make_token(values, tier) for tier in TIER_NAMES} | {OPS: make_token(values, OPS, scope=OPS)}


def _dashboard(environ: Mapping[str, str]) -> dict[str, str]:
    """Build the dashboard and return the setting that serves it; without Node, say so and go on without."""
    if environ.get("GATEWAY_DASHBOARD_DIR"):
        return {}
    try:
        return {"GATEWAY_DASHBOARD_DIR": str(build_dashboard())}
    except LocalError as error:
        _say(f"going on without the dashboard: {error}")
        return {}


def _service_environment(environ: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    defaults = {"PYTHONUNBUFFERED": "1"}
    if sys.stdout.isatty():
        defaults["LOG_FORMAT"] = "text"  # the services write to a pipe and would choose JSON
    return defaults | dict(environ) | dict(values)


def _migrate(env: Mapping[str, str]) -> None:
    for service in MIGRATED:
        done = subprocess.run([service.command, "migrate"], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalError(f"tiercast-{service.name} migrate failed:\n{done.stdout}{done.stderr}".rstrip())


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Hold a lock, so that a second `make up` does not share our databases."""
    with (data / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(f"another `make up` already uses {data}; stop that one first") from None
        yield


def _finish(broker: Broker) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the broker takes a second; let nothing cut that short
    _say("stopping the broker")
    broker.stop()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"tiercast: {text}", file=sys.stderr, flush=True)
