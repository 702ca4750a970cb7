"""The socket spares the API: over twenty minutes of the browser's own clock, which is turned by hand."""

import pytest

from tests.browser.conftest import Come
from tests.browser.visitor import Visitor
from tests.support.backends import Backends
from tests.support.producers import standard
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]

MINUTES = 20
STEP_SECONDS = 5  # half of what the page gives the server to answer a ping

NO_SOCKET = """
window.WebSocket = class {
  constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: "" })); }
  close() {}
};
"""
"""A network that lets no WebSocket through."""


async def calls_in_twenty_minutes(visitor: Visitor) -> int:
    for _ in range(MINUTES * 60 // STEP_SECONDS):
        await visitor.page.clock.run_for(STEP_SECONDS * 1000)
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
        calls[way] = await calls_in_twenty_minutes(visitor)
        await visitor.standing("Live" if way == "socket" else "Offline")
    backends.summary.append(
        f"Dashboard: API calls in {MINUTES} min: {calls['polling']} polling, {calls['socket']} live"
    )
    assert calls["polling"] >= MINUTES, "without the socket it does poll"
    assert calls["socket"] <= 0.1 * calls["polling"]
