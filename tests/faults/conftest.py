"""Fault tests: `@pytest.mark.faults(row, line=…, trials=…)` gives a test its `trial`.

Environment: `FAULT_FORM=long` for the long form, `ROW=n` for one row, `FAULT_SEED=n` for the first seed, `FRESH=1` to repeat what
has passed.
"""

import gc
import os
import secrets
import time
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from importlib.metadata import version
from platform import python_version

import pytest

from tests.faults.arena import Arena
from tests.faults.ground import Ground
from tests.faults.results import Result, code_digest, commit
from tests.faults.trial import Trial
from tests.support.backends import Backends
from tests.support.rabbitmq import Broker
from tests.support.stack import Stack
from tests.support.stack_factory import STACKS

LONG = os.environ.get("FAULT_FORM") == "long"
FIRST_SEED = int(os.environ.get("FAULT_SEED") or (1 if LONG else secrets.randbelow(10**6)))
TIMEOUT = 1500 if LONG else 600  # seconds; nothing may hang for longer
REPORT = pytest.StashKey[str]()
SKIPPED = pytest.StashKey[str]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = os.environ.get("ROW")
    for item in list(items):
        mark = item.get_closest_marker("faults")
        if mark is None:
            continue
        # aiormq leaves the sockets of broken connections to the collector, which may come at any time
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
        item.add_marker(pytest.mark.timeout(TIMEOUT))
        if wanted and mark.args[0] != int(wanted):
            items.remove(item)
            config.hook.pytest_deselected(items=[item])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("faults")
    if mark is not None:
        trials = mark.kwargs.get("trials", 1) if LONG else 1
        seeds = range(FIRST_SEED, FIRST_SEED + trials)
        metafunc.parametrize("seed", seeds, ids=[f"seed={seed}" for seed in seeds])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        item.stash[SKIPPED] = report.longrepr[2].removeprefix("Skipped: ")
    if report.failed:
        item.stash[REPORT] = str(report.longrepr)[-2000:]
        report.sections.append(("repeat with", f"FAULT_SEED={item.callspec.params.get('seed')}"))  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Collect the sockets of broken connections, which aiormq leaves behind, before they trouble another test."""
    done = yield
    if item.get_closest_marker("faults") is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return done


@pytest.fixture
def trial(request: pytest.FixtureRequest, seed: int, backends: Backends) -> Iterator[Trial]:
    """The trial that this test is."""
    mark = request.node.get_closest_marker("faults")
    result = Result(
        row=mark.args[0],
        line=mark.kwargs.get("line", ""),
        seed=seed,
        form="long" if LONG else "short",
        code=code_digest(request.node.path),
        commit=commit(),
        versions={name: version(name) for name in ("aio-pika", "faststream", "picows", "sqlalchemy", "uvicorn")}
        | {"python": python_version()},
    )
    if LONG and result.done_before() and not os.environ.get("FRESH"):
        pytest.skip("passed before on the same sources")
    print(f"FAULT_SEED={seed}")
    measured = Trial(result, time.monotonic())
    yield measured
    result.versions |= backends.versions
    measured.finish(request.node.stash.get(REPORT, ""), request.node.stash.get(SKIPPED, ""))


@pytest.fixture(scope="session")
def shared_ground(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """The shared stack: two gateways on PostgreSQL, on a broker and a server that may be broken."""
    broker, postgres = backends.breakable_broker(), backends.breakable_postgres()
    to_break = Broker("to break", broker.url, f"{broker.api_url}/", lambda: None)
    host = to_break.virtual_host()
    stack = Stack(
        tmp_path_factory.mktemp("ground"),
        amqp_url=host.url,
        ingest_database=postgres.create_database("faults_ingest"),
        tiers_database=postgres.create_database("faults_tiers"),
        gateways=2,
    )
    request.session.stash.setdefault(STACKS, []).append(stack)
    stack.start()
    yield Ground(stack, broker, host, postgres)
    stack.stop()
    to_break.close()


@pytest.fixture
async def ground(shared_ground: Ground) -> Ground:
    """The shared stack, all of it running."""
    await shared_ground.mend()
    return shared_ground


@pytest.fixture
async def arena(ground: Ground, trial: Trial) -> AsyncIterator[Arena]:
    """Producers and clients of this trial around the shared stack."""
    async with Arena(ground.stack, trial.rng, prefix=f"r{trial.result.row}s{trial.seed}-") as arena:
        yield arena
