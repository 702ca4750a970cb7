"""What a trader sees, in a real browser on the real system."""

import asyncio
import time
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Come
from tests.support.backends import Backends
from tests.support.producers import premium, standard, submission
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]


async def test_a_signal_appears_by_itself_and_is_verified_here(come: Come, stack: Stack, backends: Backends) -> None:
    await stack.set_tier("watcher", "elite")
    visitor = await come()
    await visitor.sign_in("watcher")
    signal = premium(symbol="LIVE/USD", reasoning="Überkauft ✓ <b>not markup</b>")
    sent = time.perf_counter()
    assert (await stack.publish(signal)).status_code == 201
    await expect(visitor.signal("LIVE/USD")).to_be_visible()
    milliseconds = round(1000 * (time.perf_counter() - sent))
    backends.summary.append(f"Dashboard: a signal was visible {milliseconds} ms after it was published")
    await visitor.signal("LIVE/USD").get_by_role("button").click()
    await expect(visitor.page.get_by_text("Überkauft ✓ <b>not markup</b>")).to_be_visible()
    await expect(visitor.page.get_by_test_id("mark").first).to_have_attribute("data-verdict", "verified")
    await visitor.page.get_by_test_id("status").hover()
    await expect(visitor.page.get_by_role("tooltip")).to_contain_text("WebSocket")


async def test_an_opened_signal_stays_where_it_is_and_newer_ones_wait(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.sign_in("reader")
    await stack.publish(standard(symbol="OPENED"))
    opened = visitor.signal("OPENED").get_by_role("button")
    await opened.click()
    place = await opened.bounding_box()
    await stack.publish_all([standard(symbol="LATER"), standard(symbol="LATEST")])
    waiting = visitor.page.get_by_role("button", name="2 new signals")
    await expect(waiting).to_be_visible()
    assert await opened.bounding_box() == place
    assert await visitor.signal("LATER").count() == 0
    await waiting.click()
    await expect(visitor.signal("LATEST")).to_be_visible()
    await expect(opened).to_have_attribute("aria-expanded", "false")


async def test_a_page_that_outlived_its_release_goes_on_without_the_chart(come: Come, stack: Stack) -> None:
    visitor = await come(viewport={"width": 390, "height": 800})
    await visitor.page.route("**/SymbolChart-*", lambda route: route.abort())
    await visitor.sign_in("reader")
    await stack.publish(standard(symbol="CHARTLESS"))
    await visitor.signal("CHARTLESS").get_by_role("button").click()
    await expect(visitor.page.get_by_text("The chart could not be loaded")).to_be_visible()
    await expect(visitor.page.get_by_test_id("status")).to_have_text("Live")


async def test_a_silent_source_is_told_and_so_is_its_return(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.sign_in("listener")
    word, toast = visitor.page.get_by_test_id("status"), visitor.page.get_by_test_id("toast-stale")
    stack.ingest.pause()
    try:
        await expect(toast).to_contain_text("The newest may be missing")
        await expect(word).to_have_accessible_name("Connection: Live, but no news from the source")
    finally:
        stack.ingest.resume()
    await expect(toast).to_be_hidden()
    await expect(word).to_have_accessible_name("Connection: Live")


async def test_a_tier_that_rises_and_falls_changes_the_page_without_a_reload(come: Come, stack: Stack) -> None:
    user = f"climber-{uuid4().hex[:8]}"
    visitor = await come()
    await visitor.sign_in(user)
    tier, teaser = visitor.page.get_by_test_id("tier"), visitor.page.get_by_role("region", name="Premium signals")
    await expect(tier).to_contain_text("Starter")
    await expect(teaser).to_be_visible()
    await stack.publish_all([premium(symbol="HIDDEN"), standard(symbol="SEEN")])
    await expect(visitor.signal("SEEN")).to_be_visible()
    assert await visitor.signal("HIDDEN").count() == 0

    await stack.set_tier(user, "pro", reason="paid")
    await expect(tier).to_contain_text("Pro")
    await expect(visitor.page.get_by_test_id("toast-tier")).to_contain_text("You are on Pro now")
    await expect(teaser).to_be_hidden()
    await expect(visitor.signal("HIDDEN"), "what lay before the upgrade may be browsed now").to_be_visible()
    await stack.publish_all([premium(symbol="GOLD")])
    await expect(visitor.signal("GOLD")).to_be_visible()

    await stack.set_tier(user, "starter", reason="cancelled")
    await expect(tier).to_contain_text("Starter")
    await expect(teaser).to_be_visible()
    await expect(visitor.signal("GOLD")).to_have_count(0)
    await expect(visitor.signal("HIDDEN")).to_have_count(0)
    await stack.publish_all([premium(symbol="GOLD"), standard(symbol="AFTER")])
    await expect(visitor.signal("AFTER")).to_be_visible()
    assert await visitor.signal("GOLD").count() == 0


async def test_with_the_gateway_gone_it_is_offline_and_polls_and_afterwards_nothing_is_missing_or_doubled(
    come: Come, stack: Stack
) -> None:
    await stack.set_tier("survivor", "elite")
    visitor = await come(viewport={"width": 1360, "height": 1600})
    await visitor.sign_in("survivor")
    first, missed, last = ([standard(symbol=f"{part}{n}") for n in range(8)] for part in ("A-", "B-", "C-"))
    await stack.publish_all(first)
    await expect(visitor.signal("A-7")).to_be_visible()

    stack.gateway.kill()
    await visitor.standing("Offline")
    await visitor.page.get_by_test_id("status").focus()
    await expect(visitor.page.get_by_role("tooltip")).to_contain_text("Polling every 30 s")
    await expect(visitor.page.get_by_role("tooltip")).to_contain_text("Reconnecting")
    await expect(visitor.page.get_by_test_id("offline")).to_contain_text("what is listed may be old")
    await stack.publish_all(missed)
    stack.gateway.spawn()
    await stack.gateway.ready()
    await visitor.until_live()
    await stack.publish_all(last)
    await expect(visitor.signal("C-7")).to_be_visible()
    await expect(visitor.signal("B-7")).to_be_visible()

    ids = await visitor.ids()
    async with stack.gateway_http("survivor") as http:
        latest = (await http.get("/api/v1/signals/latest", params={"limit": 24})).json()
    assert [signal["symbol"] for signal in reversed(latest)] == [signal["symbol"] for signal in first + missed + last]
    assert ids[:24] == [signal["id"] for signal in latest]
    assert len(set(ids)) == len(ids)
    await expect(visitor.page.get_by_test_id("offline")).to_be_hidden()


async def test_two_hundred_signals_a_second_drop_no_input_and_fill_no_memory(
    come: Come, stack: Stack, backends: Backends
) -> None:
    await stack.set_tier("flooded", "elite")
    visitor = await come()
    await visitor.sign_in("flooded")
    search, text = visitor.page.get_by_label("Filter by symbol"), "WANTED/USD"

    async def flood(seconds: int) -> None:
        for _ in range(4 * seconds):
            batch = [submission(symbol=f"F{n}", confidence=50 + n % 50) for n in range(50)]
            await asyncio.gather(stack.publish_all(batch), asyncio.sleep(0.25))

    await stack.publish_all([submission(symbol="FULL") for _ in range(600)])
    await flood(1)  # the list is full, and everything that is made once was made
    await expect(visitor.page.get_by_test_id("count")).to_have_text("500 signals")
    before = await visitor.heap_bytes()
    flooding = asyncio.create_task(flood(6))
    for _ in range(3):
        await search.press_sequentially(text, delay=20)
        await expect(search).to_have_value(text)
        await search.press("Escape")
        await expect(search).to_have_value("")
    await search.press_sequentially(text)
    await flooding
    await stack.publish_all([premium(symbol="WANTED/USD")])
    await expect(visitor.signal("WANTED/USD")).to_be_visible()
    await expect(search).to_have_value(text)
    grown = (await visitor.heap_bytes() - before) / 2**20
    backends.summary.append(f"Dashboard: {grown:+.1f} MiB of heap after 1,200 more signals at 200 a second")
    assert grown < 8, "a list of 500 was full before"
    await search.press("Escape")
    await expect(visitor.page.get_by_test_id("count")).to_have_text("500 signals")
