"""The browser of the tests: the machine's Chromium, else Debian's, where we may install it."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tiercast_local import debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-precise-memory-info"),
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, installing Debian's package as root; None where there is none to be had."""
    told = os.environ.get("TEST_CHROMIUM")
    found = told or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and debian.can_install():
        debian.install("chromium")
        found = shutil.which("chromium")
    return found


def launched(chromium: str) -> AbstractAsyncContextManager[Browser]:
    """A running browser, for as long as the block lasts."""

    @asynccontextmanager
    async def run() -> AsyncIterator[Browser]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            try:
                yield browser
            finally:
                await browser.close()

    return run()
