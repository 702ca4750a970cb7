"""The socket spares the API: over twenty minutes of the browser's own clock, which is turned by hand."""

import pytest

from tests.browser.conftest import Come
from tests.browser.visitor import NO_SOCKET, Visitor
from tests.support.backends import Backends
from tests.support.producers import standard
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

MINUTES = 20
STEP_SECONDS = {"polling": 30, "socket": 8}
"""One poll at most fits into the one, and less than the page gives the server to answer a ping into the other."""


async def calls_in_twenty_minutes(visitor: Visitor, step: int) -> int:
    for _ in range(MINUTES * 60 // step):
        await visitor.page.clock.run_for(step * 1000)
        # what was sent on either way has been answered when this is: the gateway has one loop
        await visitor.page.evaluate("fetch('/healthz').then((answer) => answer.text())")
    return len(visitor.api_calls)


async def test_api_calls_fall_by_nine_tenths_with_the_socket(come: Come, stack: Stack, backends: Backends) -> None:
    await stack.set_tier("thrifty", "elite")
    await stack.publish_all([standard() for _ in range(5)])
    calls = {}
    for way in ("polling", "socket"):
        visitor = await come()
        await visitor.page.clock.install()
        if way == "polling":
            await visitor.page.add_init_script(NO_SOCKET)
        await visitor.open("thrifty")
        await visitor.signals.first.wait_for()
        if way == "socket":
            await visitor.until_live()
        calls[way] = await calls_in_twenty_minutes(visitor, STEP_SECONDS[way])
        await visitor.standing("Live" if way == "socket" else "Offline")
    backends.summary.append(
        f"Dashboard: API calls in {MINUTES} min: {calls['polling']} polling, {calls['socket']} live"
    )
    assert calls["polling"] >= MINUTES, "without the socket it does poll"
    assert calls["socket"] <= 0.1 * calls["polling"]
