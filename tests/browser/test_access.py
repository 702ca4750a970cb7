"""Everybody can use it: axe finds nothing to complain about, in any state, dark or light, and the keyboard is enough."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Come
from tests.browser.visitor import NO_SOCKET
from tests.support.producers import premium, standard
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_axe_finds_no_violation_in_any_state(come: Come, stack: Stack, scheme: str) -> None:
    await stack.set_tier("reader", "elite")
    visitor = await come(color_scheme=scheme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}

    async def look(state: str) -> None:
        found[state] = await visitor.violations()

    await visitor.open(None)
    await expect(visitor.page.get_by_label("Access token")).to_be_visible()
    await look("signed out")
    await visitor.sign_in("nobody-special")
    await stack.publish_all([standard(), premium(symbol="OPEN/ME", reasoning="Because."), standard(action="SELL")])
    await visitor.signals.first.wait_for()
    assert await visitor.page.evaluate("document.getAnimations().length") == 0, "nothing moves for whom that troubles"
    await expect(visitor.page.locator(".card-new").first, "and what is new is marked all the same").to_be_visible()
    await stack.set_tier("nobody-special", "pro", reason="paid")
    await stack.set_tier("nobody-special", "starter", reason="cancelled")
    await expect(visitor.page.get_by_test_id("toast-tier")).to_contain_text("Starter")
    await look("starter, just downgraded")
    visitor = await come(color_scheme=scheme, reduced_motion="reduce")
    await visitor.sign_in("reader")
    await visitor.signal("OPEN/ME").first.get_by_role("button").click()
    await expect(visitor.page.get_by_role("heading", name="Verified in this browser")).to_be_visible()
    await visitor.page.get_by_test_id("status").focus()
    await look("an opened signal, and the connection's details")
    await visitor.page.get_by_label("Filter by symbol").fill("NOTHING")
    await look("nothing matches")
    visitor = await come(color_scheme=scheme, reduced_motion="reduce", viewport={"width": 390, "height": 800})
    await visitor.page.add_init_script(NO_SOCKET)
    await visitor.open("reader")
    await expect(visitor.page.get_by_test_id("offline")).to_be_visible()
    await visitor.signal("OPEN/ME").first.get_by_role("button").click()
    await expect(visitor.page.get_by_role("heading", name="Verified in this browser")).to_be_visible()
    await visitor.page.get_by_test_id("status").focus()
    await look("narrow and offline, with the connection's details")
    await visitor.open("operator", "/ops", scope="ops")
    await expect(visitor.page.get_by_role("heading", name="Connections")).to_be_visible()
    await look("operations")
    assert {state: violations for state, violations in found.items() if violations} == {}


async def test_the_keyboard_is_enough(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.sign_in("typist")
    await stack.publish_all([standard(symbol=f"K{number}") for number in range(5)])
    await expect(visitor.signal("K4")).to_be_visible()
    await visitor.page.keyboard.press("/")
    await visitor.page.keyboard.type("k3")
    await expect(visitor.signals).to_have_count(1)
    await visitor.page.keyboard.press("Escape")
    await visitor.signal("K4").get_by_role("button").focus()
    await visitor.page.keyboard.press("ArrowDown")
    await expect(visitor.signal("K3").get_by_role("button")).to_be_focused()
    await visitor.page.keyboard.press("Enter")
    await expect(visitor.signal("K3").get_by_role("button")).to_have_attribute("aria-expanded", "true")
    await visitor.page.keyboard.press("Escape")
    await expect(visitor.signal("K3").get_by_role("button")).to_have_attribute("aria-expanded", "false")
    await stack.publish_all([standard(symbol=f"NEWER{number}") for number in range(60)])
    await expect(visitor.signal("NEWER59")).to_be_visible()
    await expect(visitor.signal("K3").get_by_role("button"), "what has the focus is not taken away").to_be_focused()
    await visitor.page.keyboard.press("Tab")
    assert not await visitor.page.evaluate("document.activeElement.closest('[data-index]')"), "the list is one stop"
    await visitor.page.keyboard.press("Shift+Tab")
    await expect(visitor.signal("K3").get_by_role("button")).to_be_focused()
    await visitor.page.keyboard.press("Home")
    await expect(visitor.signal("NEWER59").get_by_role("button")).to_be_focused()
