"""Somebody at the dashboard: a page of their own, watched for everything that a browser complains about."""

import json
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, expect

from tests.support.stack import Stack
from tiercast_local.dashboard import PROJECT

PATIENCE = 60_000  # milliseconds until what must happen has happened, on a machine that is busy
AXE = (PROJECT / "node_modules" / "axe-core" / "axe.min.js").read_text
UNREACHABLE = ("net::ERR_", "WebSocket connection to", "status of 40", "status of 50")
"""What the console says of requests that tests make fail."""

WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""

NO_SOCKET = """
window.WebSocket = class {
  constructor() { setTimeout(() => this.onclose?.({ code: 1006, reason: "" })); }
  close() {}
};
"""
"""A network that lets no WebSocket through."""

expect.set_options(timeout=PATIENCE)


class Visitor:
    """A browser context with one page."""

    def __init__(self, stack: Stack, context: BrowserContext, page: Page) -> None:
        self.stack = stack
        self.page = page
        self._context = context
        self.complaints: list[str] = []
        self.api_calls: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("request", self._asked)

    @classmethod
    async def come(cls, browser: Browser, stack: Stack, **options: Any) -> "Visitor":
        """Open an empty page; `options` are those of a browser context."""
        context = await browser.new_context(**{"viewport": {"width": 1360, "height": 860}} | options)
        await context.add_init_script(WATCH_POLICY)
        return cls(stack, context, await context.new_page())

    async def leave(self) -> None:
        await self._context.close()

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(known in text for known in UNREACHABLE):
            self.complaints.append(f"{kind}: {text}")

    def _asked(self, request: Request) -> None:
        if "/api/" in request.url:
            self.api_calls.append(request.url)

    # -- what they do ----------------------------------------------------------------------------

    async def open(self, user: str | None, path: str = "/", **claims: Any) -> None:
        """Come by the link that `make up` prints, or by the bare address."""
        fragment = f"#token={self.stack.token(user, **claims)}" if user else ""
        await self.page.goto(f"{self.stack.gateway.url}{path}{fragment}")

    async def sign_in(self, user: str) -> None:
        """Open the page and wait until it is live."""
        await self.open(user)
        await self.until_live()

    async def take_cookies(self, jar: dict[str, str]) -> None:
        """Have the cookies that an application on the same host sets."""
        url = self.stack.gateway.url
        await self._context.add_cookies(
            [{"name": name, "value": value, "url": url, "httpOnly": True} for name, value in jar.items()]
        )

    async def until_live(self) -> None:
        await self.standing("Live")

    async def standing(self, word: str) -> None:
        """Wait until the connection stands so."""
        await expect(self.page.get_by_test_id("status")).to_have_text(word)

    # -- what they see ---------------------------------------------------------------------------

    @property
    def signals(self) -> Locator:
        """The signals that are drawn; the list is virtual."""
        return self.page.get_by_test_id("signal")

    def signal(self, symbol: str) -> Locator:
        """The drawn signals of one symbol."""
        return self.signals.filter(has_text=symbol)

    async def ids(self) -> list[str]:
        """The ids of the drawn signals, from the top."""
        rows = await self.page.eval_on_selector_all(
            "[data-testid=signal]",
            "rows => rows.map(row => [Number(row.closest('[data-index]').dataset.index), row.dataset.id])",
        )
        return [name for _, name in sorted(rows)]

    async def heap_bytes(self) -> int:
        """What the page's scripts hold after a collection."""
        session = await self._context.new_cdp_session(self.page)
        await session.send("HeapProfiler.enable")
        await session.send("HeapProfiler.collectGarbage")
        usage = await session.send("Runtime.getHeapUsage")
        await session.detach()
        return int(usage["usedSize"])

    async def violations(self) -> list[str]:
        """What axe finds wrong with the page as it is."""
        await self.page.evaluate(AXE())
        found = await self.page.evaluate("async () => (await axe.run(document)).violations")
        return [f"{each['id']}: {json.dumps([node['html'][:160] for node in each['nodes'][:3]])}" for each in found]

    async def shoot(self, file: Path) -> None:
        """Take a picture of what is in view, once all that has come is drawn."""
        await self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        await self.page.screenshot(path=file, animations="disabled")
