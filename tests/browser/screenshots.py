"""Takes the pictures of docs/images: `pytest tests/browser/screenshots.py`. Not run with the tests."""

import random
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Come
from tests.browser.visitor import Visitor
from tests.support.producers import Submission, submission
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = {"width": 1280, "height": 760}
NARROW = {"width": 400, "height": 760}
PRICES = {
    "AAPL": 228.4,
    "MSFT": 431.2,
    "NVDA": 142.7,
    "BTC/USD": 96410.5,
    "EUR/USD": 1.0832,
    "BRK.B": 468.9,
    "TSLA": 344.1,
}
REASON = "The 3-month average crossed the 12-month one with volume 40 % above its mean; three of four models agree."


def market(count: int) -> list[Submission]:
    """Signals on a small made-up market, the same at each call of a run."""
    chance, prices, made = random.Random(7), dict(PRICES), []
    for _ in range(count):
        symbol = chance.choice(list(prices))
        prices[symbol] *= 1 + chance.gauss(0, 0.006)
        entry, up = round(prices[symbol], 4 if prices[symbol] < 10 else 2), chance.random() > 0.4
        way = 1 if up else -1
        made.append(
            submission(
                symbol=symbol,
                action="BUY" if up else "SELL",
                entry_price=entry,
                target_price=round(entry * (1 + way * 0.06), 4),
                stop_price=round(entry * (1 - way * 0.03), 4),
                confidence=round(chance.uniform(55, 97), 1),
                reasoning=REASON,
                strategy="momentum_3_12",
                regime="risk-on",
                sources_count=4,
            )
        )
    return made


async def opened(visitor: Visitor) -> None:
    await visitor.signals.nth(1).get_by_role("button").click()
    await expect(visitor.page.get_by_text("Verified in this browser").first).to_be_visible()
    await visitor.page.mouse.move(0, 0)


async def test_every_state(come: Come, stack: Stack) -> None:
    await stack.set_tier("elite", "elite")
    for part in range(4):
        await stack.publish_all(market(32)[8 * part : 8 * part + 8])
    dark = await come(viewport=SIZE, color_scheme="dark")
    await dark.open(None)
    await expect(dark.page.get_by_label("Access token")).to_be_visible()
    await dark.shoot(IMAGES / "dashboard-signed-out.png")
    await dark.sign_in("elite")
    await opened(dark)
    await dark.shoot(IMAGES / "dashboard-elite.png")
    light = await come(viewport=SIZE, color_scheme="light")
    await light.sign_in("starter")
    await light.page.locator(".chart canvas").first.wait_for()
    await light.shoot(IMAGES / "dashboard-starter.png")
    narrow = await come(viewport=NARROW, color_scheme="dark")
    await narrow.sign_in("elite")
    await opened(narrow)
    await narrow.page.locator(".details canvas").first.wait_for()  # the chart comes a moment later
    await narrow.shoot(IMAGES / "dashboard-narrow.png")
    ops = await come(viewport=SIZE, color_scheme="dark")
    await ops.open("operator", "/ops", scope="ops")
    await expect(ops.page.get_by_role("row").filter(has_text="(answered)")).to_contain_text("1023")
    await ops.shoot(IMAGES / "dashboard-operations.png")
    await stack.set_tier("starter", "pro", reason="paid")
    await expect(light.page.get_by_test_id("toast-tier")).to_be_visible()
    await light.shoot(IMAGES / "dashboard-upgraded.png")
    stack.gateway.kill()
    await dark.standing("Offline")
    await dark.page.get_by_test_id("status").focus()
    await dark.shoot(IMAGES / "dashboard-offline.png")
