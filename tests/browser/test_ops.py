"""The operations page, and who may see it."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.conftest import Come
from tests.support.http import async_http
from tests.support.producers import standard
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

SUMMARY = "/api/v1/ops/summary"
AT_LEAST_TWENTY = re.compile(r"^([2-9]\d|\d{3}|\d+,\d{3})$")


async def test_only_a_token_with_the_scope_is_answered(stack: Stack) -> None:
    async with async_http(base_url=stack.gateway.url) as http:
        assert (await http.get(SUMMARY)).status_code == 401

        async def ask(**claims: object) -> httpx.Response:
            return await http.get(SUMMARY, headers={"Authorization": f"Bearer {stack.token('operator', **claims)}"})

        refused = await ask()
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
        assert (await ask(scope="opsy other")).status_code == 403
        assert (await ask(scope="other ops")).status_code == 200


async def test_the_page_shows_the_system_and_keeps_its_token_in_memory_only(come: Come, stack: Stack) -> None:
    await stack.set_tier("on-show", "pro")
    visitor = await come()
    await visitor.open("operator", "/ops", scope="ops")
    assert visitor.page.url == f"{stack.gateway.url}/ops"
    async with stack.client("on-show") as client:
        await client.first("connected")
        applied = visitor.page.get_by_role("row").filter(has_text="signals").get_by_role("cell").nth(1)
        delivery = visitor.page.get_by_role("row").filter(has_text="All of it").get_by_role("cell").first
        before = int((await applied.inner_text()).replace(",", ""))
        await stack.publish_all([standard() for _ in range(20)])
        await client.signals_received(20)
        connections = visitor.page.get_by_role("row").filter(has_text="(answered)")
        await expect(connections).to_contain_text("0101")  # starter, pro, elite, all
        await expect(applied).to_have_text(f"{before + 20:,}")
        await expect(delivery).to_have_text(AT_LEAST_TWENTY)
    await expect(connections).to_contain_text("0000")
    stored = "Object.values(sessionStorage).concat(Object.values(localStorage), document.cookie).join()"
    assert "ey" not in await visitor.page.evaluate(stored)
    await visitor.page.reload()
    await expect(visitor.page.get_by_label("Access token")).to_be_visible()


async def test_a_token_without_the_scope_is_sent_back_with_the_reason(come: Come) -> None:
    visitor = await come()
    await visitor.open("nosy", "/ops")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("the token lacks the scope ops")


async def test_a_dead_letter_is_shown(come: Come, stack: Stack) -> None:
    async with async_http(base_url=stack.ingest.url) as http:
        assert (await http.get("/api/v1/queues")).status_code == 401, "only the services may ask"
    visitor = await come()
    await visitor.open("operator", "/ops", scope="ops")
    waiting = visitor.page.get_by_text("waiting").locator("..")
    await expect(waiting).to_have_text("0 waiting")
    await expect(visitor.page.get_by_role("region", name="Verdict")).to_contain_text("Everything is in order")
    with stack.amqp_producer() as producer:
        producer.publish(b"this can never be stored")
    await expect(waiting).to_have_text("1 waiting")
    await expect(visitor.page.get_by_role("region", name="Verdict")).to_contain_text("tiercast-ingest dead list")
