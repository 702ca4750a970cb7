"""Takes the pictures of docs/images: `pytest tests/browser/screenshots.py`. Not run with the tests."""

import asyncio
import random
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Come
from tests.browser.visitor import NO_SOCKET, Visitor
from tests.support.producers import Submission, submission
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = {"width": 1280, "height": 760}
NARROW = {"width": 400, "height": 760}
PACE_SECONDS = 1.2
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


HANGING = "window.WebSocket = class { send() {} close() {} };"
"""A network on which nobody answers."""


async def trade(stack: Stack, submissions: list[Submission]) -> None:
    """Publish at a pace that a person can follow."""
    for each in submissions:
        await stack.publish_all([each])
        await asyncio.sleep(PACE_SECONDS)


async def opened(visitor: Visitor, row: int = 2) -> None:
    """Open a signal, and wait until it is verified and drawn."""
    await visitor.signals.nth(row).get_by_role("button").click()
    await expect(visitor.page.get_by_role("heading", name="Verified in this browser")).to_be_visible()
    await drawn(visitor)
    await visitor.page.mouse.move(0, 0)


async def drawn(visitor: Visitor) -> None:
    """Wait for the chart, which comes a moment after its place."""
    await visitor.page.locator(".chart canvas").first.wait_for()


async def test_every_state(come: Come, stack: Stack) -> None:
    await stack.set_tier("elite", "elite")
    visitor = await come(viewport=SIZE, color_scheme="dark")
    await visitor.open(None)
    await expect(visitor.page.get_by_label("Access token")).to_be_visible()
    await visitor.shoot(IMAGES / "dashboard-signed-out.png")

    dark, light = await come(viewport=SIZE, color_scheme="dark"), await come(viewport=SIZE, color_scheme="light")
    narrow, ops = await come(viewport=NARROW, color_scheme="dark"), await come(viewport=SIZE, color_scheme="dark")
    await light.sign_in("starter")
    await light.shoot(IMAGES / "dashboard-empty.png")
    await dark.sign_in("elite")
    await narrow.sign_in("elite")
    await ops.open("operator", "/ops", scope="ops")
    signals = market(52)
    await trade(stack, signals[:48])

    await drawn(light)
    await light.shoot(IMAGES / "dashboard-starter.png")
    await opened(dark)
    await dark.shoot(IMAGES / "dashboard-elite.png")
    await narrow.shoot(IMAGES / "dashboard-narrow.png")
    await opened(narrow)
    await narrow.shoot(IMAGES / "dashboard-narrow-opened.png")
    await expect(ops.page.get_by_role("row").filter(has_text="(answered)")).to_contain_text("1023")
    await ops.shoot(IMAGES / "dashboard-operations.png")

    waiting = await come(viewport=SIZE, color_scheme="dark")
    await waiting.page.add_init_script(HANGING)
    await waiting.open("elite")
    await drawn(waiting)
    await waiting.standing("Connecting")
    await waiting.shoot(IMAGES / "dashboard-connecting.png")

    await stack.set_tier("starter", "pro", reason="paid")
    await expect(light.page.get_by_test_id("toast-tier")).to_be_visible()
    await trade(stack, signals[48:])
    await light.page.get_by_test_id("status").hover()
    await light.shoot(IMAGES / "dashboard-upgraded.png")

    stack.ingest.pause()
    await expect(dark.page.get_by_test_id("toast-stale")).to_be_visible()
    await dark.shoot(IMAGES / "dashboard-stale.png")
    stack.ingest.resume()

    polling = await come(viewport=SIZE, color_scheme="dark")
    await polling.page.add_init_script(NO_SOCKET)
    await polling.open("elite")
    await expect(polling.page.get_by_test_id("offline")).to_contain_text("every 30 s instead")
    await drawn(polling)
    await polling.page.get_by_test_id("status").focus()
    await polling.shoot(IMAGES / "dashboard-offline.png")
