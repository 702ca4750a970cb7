"""The ways in: a link, a pasted token, and the session cookie of the application that people subscribe with."""

import asyncio
import json
import time
from uuid import uuid4

import pytest
from playwright.async_api import WebSocket, expect

from tests.browser.conftest import NEXTAUTH_SECRET, Come
from tests.browser.visitor import Visitor
from tests.support.http import async_http
from tests.support.node import Node
from tests.support.producers import premium
from tests.support.session_tokens import AUTHJS, NEXTAUTH, authjs, cookie_header, cookies, encoded, nextauth
from tests.support.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

TOKEN_MILLISECONDS = 900_000
"""How long a token is good that the cookie is exchanged for."""


async def test_a_link_signs_in_and_its_token_is_gone_from_the_address_at_once(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.sign_in("linked")
    assert visitor.page.url == f"{stack.gateway.url}/"
    assert await visitor.page.evaluate("history.length") <= 2, "the address with the token is no place to go back to"
    await visitor.page.reload()
    await visitor.until_live()


async def test_whom_nobody_signed_in_is_told_what_to_do_and_can_paste_a_token(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.open(None)
    await expect(visitor.page.get_by_role("heading", name="Live trading signals")).to_be_visible()
    field = visitor.page.get_by_label("Access token")
    await field.fill("no token")
    await visitor.page.get_by_role("button", name="Continue").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("This is no token")
    await field.fill(stack.token("paster"))
    await visitor.page.get_by_role("button", name="Continue").click()
    await visitor.until_live()


async def test_a_token_that_is_refused_stops_the_page_which_says_why(come: Come, stack: Stack) -> None:
    visitor = await come()
    await visitor.open("late", exp=int(time.time()) - 3600)
    await expect(visitor.page.get_by_role("alert").first).to_contain_text("The token has expired")
    await visitor.standing("Offline")
    await visitor.page.get_by_role("button", name="Sign in again").click()
    await expect(visitor.page.get_by_label("Access token")).to_be_visible()


async def test_the_applications_session_signs_in_keeps_the_socket_signed_in_and_ends_with_it(
    come: Come, stack: Stack, node: Node
) -> None:
    user = f"subscriber-{uuid4().hex[:8]}"
    await stack.set_tier(user, "pro")
    visitor = await come()
    await visitor.page.clock.install()
    sockets = sockets_of(visitor)
    await visitor.open(None)
    await expect(visitor.page.get_by_role("listitem").first).to_contain_text("Sign in where you subscribe")
    await visitor.page.get_by_role("button", name="Check now").click()
    await expect(visitor.page.get_by_text("This browser has no session at 127.0.0.1 yet.")).to_be_visible()

    await visitor.take_cookies(cookies(NEXTAUTH, encoded(node, nextauth(user, NEXTAUTH_SECRET))[0]))
    await visitor.page.evaluate("window.dispatchEvent(new Event('focus'))")  # back from the other tab
    await visitor.until_live()
    await expect(visitor.page.get_by_test_id("tier")).to_contain_text("Pro")

    async with asyncio.timeout(60):
        while "auth" not in sockets[-1]:  # one that came within the same second is the same token
            await visitor.page.clock.fast_forward(TOKEN_MILLISECONDS * 4 // 5)
            await visitor.page.evaluate("fetch('/healthz').then((answer) => answer.text())")
    await stack.publish(premium(symbol="COOKIE/USD"))
    await expect(visitor.signal("COOKIE/USD")).to_be_visible()
    assert len(sockets) == 1, "the newer token went over the socket that was there"

    await revoke_sessions(stack, user)
    await expect(visitor.page.get_by_role("alert")).to_contain_text("The token was revoked")
    await visitor.page.get_by_role("button", name="Sign in again").click()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("The token was revoked")
    await visitor.take_cookies({AUTHJS: await session_after_revocation(stack, node, user)})
    await visitor.page.get_by_role("button", name="Check now").click()
    await visitor.until_live()


def sockets_of(visitor: Visitor) -> list[list[str]]:
    """The types of the messages that the page sends, by socket; filled while it lives."""
    found: list[list[str]] = []

    def opened(socket: WebSocket) -> None:
        sent: list[str] = []
        found.append(sent)
        socket.on("framesent", lambda message: sent.append(json.loads(message)["type"]))

    visitor.page.on("websocket", opened)
    return found


async def revoke_sessions(stack: Stack, user: str) -> None:
    async with async_http(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}) as admin:
        (await admin.delete(f"/api/v1/users/{user}/sessions")).raise_for_status()


async def session_after_revocation(stack: Stack, node: Node, user: str) -> str:
    """A session that counts: tokens say in whole seconds when they were issued."""
    async with asyncio.timeout(60), stack.gateway_http() as http:
        while True:
            (session,) = await asyncio.to_thread(encoded, node, authjs(user, NEXTAUTH_SECRET))
            answer = await http.get("/api/v1/auth/token", headers=cookie_header({AUTHJS: session}))
            if answer.is_success:
                return session
