"""An application with NextAuth 4 or Auth.js 5 points at the gateway: who signs in there, in a browser, sees their signals."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Come
from tests.support.application import Application
from tests.support.backends import Backends
from tests.support.node import Node
from tests.support.producers import premium, standard
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

STRANGE_PAGE = """async (application) => {
  const answers = [];
  for (const path of ["/api/v1/auth/token", "/api/v1/signals/latest"])
    answers.push(await fetch(application + path, {credentials: "include"}).then((answer) => answer.text(), () => "refused"));
  const socket = new WebSocket(application.replace("http", "ws") + "/ws/signals");
  answers.push(await new Promise((tell) => { socket.onopen = () => tell("open"); socket.onerror = () => tell("refused"); }));
  return answers;
}"""


@pytest.fixture(scope="module")
def application(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Application:
    """Not yet started: it has an address, which the gateway must know, and is told the gateway's."""
    return Application(node, tmp_path_factory.mktemp("application") / "application.log")


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest,
    backends: Backends,
    chromium: str,
    application: Application,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """All that an operator sets for the application: its secret and its origin."""
    settings = {"NEXTAUTH_SECRET": application.secret, "GATEWAY_ALLOWED_ORIGINS": application.origin}
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("stack")) as factory:
        stack = factory(start=False)
        stack.gateway.environment |= settings
        stack.start()
        with application.running(stack.gateway.url):
            yield stack


async def signed_in(come: Come, application: Application, kind: str, user: str) -> Page:
    """The application's page, after its own sign-in page; nobody has told the browser of the gateway."""
    page = (await come()).page
    await page.goto(f"{application.origin}/{kind}/auth/signin?callbackUrl=/{kind}")
    await page.get_by_label("Name").fill(user)
    await page.get_by_role("button", name="Sign in with a name").click()
    await page.wait_for_url(f"{application.origin}/{kind}")
    return page


@pytest.mark.parametrize(
    ("kind", "cookie"), [("four", "next-auth.session-token"), ("five", "authjs.session-token")], ids=["v4", "v5"]
)
async def test_who_signs_in_to_an_application_sees_their_tiers_signals_and_no_other_site_can(
    come: Come, stack: Stack, application: Application, kind: str, cookie: str
) -> None:
    users = {tier: f"{tier}-{uuid4().hex[:8]}" for tier in ("starter", "pro")}
    for tier, user in users.items():
        await stack.set_tier(user, tier)
    pages = {tier: await signed_in(come, application, kind, user) for tier, user in users.items()}
    for tier, page in pages.items():
        await expect(page).to_have_title(tier)
    sent = [premium(), standard(), premium(), standard()]
    await stack.publish_all(sent)
    hashes = [str(signal["sha256"]) for signal in sent]
    await expect(pages["pro"].get_by_role("listitem")).to_have_text(hashes)
    await expect(pages["starter"].get_by_role("listitem")).to_have_text(hashes[1::2])

    page = pages["pro"]
    (session,) = [each for each in await page.context.cookies() if each["name"] == cookie]
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    strange = await page.context.new_page()  # the same browser, with the same cookies
    for site in (application.origin.replace("127.0.0.1", "localhost"), f"http://127.0.0.1:{stack.ingest.port}"):
        await strange.goto(f"{site}/healthz")  # of another site, and of another origin of the same one
        assert await strange.evaluate(STRANGE_PAGE, application.origin) == ["refused"] * 3
