"""A real system with its dashboard, and a browser to look at it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import find_chromium, launched
from tests.browser.visitor import Visitor
from tests.support.backends import Backends
from tests.support.node import find_node
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory
from tiercast_local.dashboard import PROJECT, build_dashboard

NEXTAUTH_SECRET = "the secret of the application that people subscribe with"
Come = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
def chromium(backends: Backends) -> str:
    """The path of a Chromium. Where there is none, the tests are named as not run, with what is missing."""
    found = find_chromium()
    if found is None:
        missing = (
            "Chromium is MISSING: the dashboard was not tried in a browser (install chromium, or set TEST_CHROMIUM)"
        )
        backends.summary.append(missing)
        pytest.skip(missing)
    backends.summary.append(f"Chromium: {found}")
    return found


@pytest.fixture(scope="session")
def dashboard() -> Path:
    """The built dashboard, from the present sources."""
    find_node().install_packages(PROJECT)
    return build_dashboard()


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest,
    backends: Backends,
    chromium: str,
    dashboard: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """A whole Tiercast whose gateway serves the dashboard, shared by all these tests: use users and symbols of your own."""
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        made = factory(start=False)
        made.gateway.environment |= {
            "GATEWAY_DASHBOARD_DIR": str(dashboard),
            "GATEWAY_ALLOWED_ORIGINS": made.gateway.url,
            "NEXTAUTH_SECRET": NEXTAUTH_SECRET,
        }
        made.start()
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with launched(chromium) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def come(browser: Browser, stack: Stack) -> AsyncIterator[Come]:
    """Lets somebody come, as often as called; in the end nobody's browser may have complained."""
    visitors: list[Visitor] = []

    async def arrive(**options: object) -> Visitor:
        visitors.append(await Visitor.come(browser, stack, **options))
        return visitors[-1]

    yield arrive
    for visitor in visitors:
        await visitor.leave()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []
