"""Who may connect, as what, and for how long: applications point at the gateway, and their users see their tier's signals."""

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.support.backends import Backends
from tests.support.http import async_http
from tests.support.node import Node
from tests.support.oidc_issuer import OidcIssuer
from tests.support.producers import premium, standard
from tests.support.session_tokens import AUTHJS, NEXTAUTH, authjs, cookie_header, cookies, encoded, nextauth
from tests.support.stack import AUDIENCE, ORIGIN, Stack
from tests.support.stack_factory import StackFactory

NEW, OLD = "the-secret-of-the-application", "its-secret-before"
CLIENT_ID = "our-application"
PRIVATE_KEY = ECKey.generate_key("P-256")
"""Of the second gateway, which signs with it, and takes what the secret of both has signed as well."""

EXCHANGE, LATEST = "/api/v1/auth/token", "/api/v1/signals/latest"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT, ID_TOKEN, ACCESS_TOKEN = (
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("jwt", "id_token", "access_token")
)


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcIssuer]:
    with OidcIssuer("ES256") as issuer:
        yield issuer


@pytest.fixture(scope="module")
def stack(
    request: pytest.FixtureRequest,
    backends: Backends,
    tmp_path_factory: pytest.TempPathFactory,
    provider: OidcIssuer,
) -> Iterator[Stack]:
    settings = {
        "NEXTAUTH_SECRET": f'["{NEW}", "{OLD}"]',
        "OIDC_ISSUER": provider.url,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "OIDC_JWKS_URL": provider.jwks_url,
    }
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("identity")) as factory:
        stack = factory(gateways=2, settings=settings, start=False)
        pem = PRIVATE_KEY.as_pem(private=True).decode()
        stack.gateways[1].environment["GATEWAY_JWT_PRIVATE_KEY"] = pem.replace("\n", "\\n")
        stack.start()
        yield stack


def fresh(name: str) -> str:
    return f"{name}-{uuid4().hex[:8]}"


async def sees_its_tier(stack: Stack, user: str, token: str, *, gateway: int = 0) -> None:
    """A socket with this token in its address carries the signals of the user's tier, which their name begins with."""
    tier = user.partition("-")[0]
    await stack.set_tier(user, tier)
    async with stack.client(user, gateway=gateway, token=token, token_in="query", origin=ORIGIN) as client:
        if (await client.first("connected"))[
            "user_tier"
        ] != tier:  # the exchange has looked the user up before the change
            await client.first("tier_changed")
        sent = [premium(), standard(), premium(), standard()]
        await stack.publish_all(sent)
        due = sent if tier == "pro" else sent[1::2]
        await client.signals_received(len(due))
        await client.settled()
        assert [data["hash"] for data in client.data] == [signal["sha256"] for signal in due]


@pytest.mark.parametrize("prefix", ["", "__Secure-"], ids=["http", "https"])
@pytest.mark.parametrize("kind", ["NextAuth 4", "Auth.js 5"])
async def test_an_applications_user_sees_their_tiers_signals(stack: Stack, node: Node, kind: str, prefix: str) -> None:
    user = fresh("pro" if prefix else "starter")
    name = prefix + (NEXTAUTH if kind == "NextAuth 4" else AUTHJS)
    wanted = nextauth(user, NEW) if kind == "NextAuth 4" else authjs(user, [NEW, OLD], cookie=name)
    (session,) = encoded(node, wanted)
    async with stack.gateway_http() as http:
        headers = {**cookie_header(cookies(name, session)), "Sec-Fetch-Site": "same-origin"}
        answer = await http.get(EXCHANGE, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"token", "expires_in"}
    assert 600 < answer.json()["expires_in"] <= 900
    assert "no-store" in answer.headers["cache-control"]

    await sees_its_tier(stack, user, answer.json()["token"])


async def test_old_secrets_and_sessions_in_several_cookies_are_taken_and_other_secrets_are_not(
    stack: Stack, node: Node
) -> None:
    long = {"picture": "x" * 9000}
    old4, old5, long4, long5, strange4, strange5, over4, over5 = encoded(
        node,
        nextauth("alice", OLD),
        authjs("alice", OLD),
        nextauth("alice", NEW, **long),
        authjs("alice", NEW, **long),
        nextauth("alice", NEW + "x"),
        authjs("alice", NEW + "x"),
        nextauth("alice", NEW, max_age=-1),
        authjs("alice", NEW, max_age=-1),
    )
    assert len(cookies(NEXTAUTH, long4)) > 2
    good = [cookies(NEXTAUTH, old4), cookies(AUTHJS, old5), cookies(NEXTAUTH, long4), cookies(AUTHJS, long5)]
    short = dict(list(cookies(AUTHJS, long5).items())[:-1])
    bad = [{NEXTAUTH: strange4}, {AUTHJS: strange5}, {NEXTAUTH: over4}, {AUTHJS: over5}, short, {AUTHJS: old5 + "x"}]
    async with stack.gateway_http() as http:
        for jar, status in [*((jar, 200) for jar in good), *((jar, 401) for jar in bad)]:
            assert (await http.get(EXCHANGE, headers=cookie_header(jar))).status_code == status, jar.keys()
        assert (await http.get(EXCHANGE)).json()["code"] == "missing_session"


async def test_an_application_exchanges_its_users_tokens_by_post(
    stack: Stack, node: Node, provider: OidcIssuer
) -> None:
    users = [fresh("pro") for _ in range(3)]
    four, five = encoded(node, nextauth(users[0], NEW), authjs(users[1], NEW))
    subjects = [(four, JWT), (five, JWT), (provider.token(users[2], CLIENT_ID), ID_TOKEN)]
    async with stack.gateway_http() as http:
        for user, (subject, kind) in zip(users, subjects, strict=True):
            form = {"grant_type": GRANT, "subject_token": subject, "subject_token_type": kind, "audience": AUDIENCE}
            answer = await http.post(EXCHANGE, data=form)
            assert answer.status_code == 200, answer.text
            granted = answer.json()
            assert granted.keys() == {"access_token", "issued_token_type", "token_type", "expires_in"}
            assert (granted["issued_token_type"], granted["token_type"]) == (ACCESS_TOKEN, "Bearer")
            await sees_its_tier(stack, user, granted["access_token"])


async def test_a_gateway_with_a_private_key_signs_with_it_and_others_know_the_key_or_refuse_the_token(
    stack: Stack, node: Node
) -> None:
    user = fresh("pro")
    (session,) = encoded(node, authjs(user, NEW))
    async with stack.gateway_http(gateway=1) as http:
        token = (await http.get(EXCHANGE, headers=cookie_header({AUTHJS: session}))).json()["token"]
    signed = jwt.decode(token, ECKey.import_key(PRIVATE_KEY.as_dict(private=False)), algorithms=["ES256"])
    assert (signed.header["kid"], signed.claims["sub"]) == (PRIVATE_KEY.thumbprint(), user)
    await sees_its_tier(stack, user, token, gateway=1)
    async with stack.client(user, token=token) as client:
        assert await client.closed() == 4500, "the first gateway has not been given the key"
    async with stack.client(user, gateway=1) as client:
        await client.first("connected")


async def test_the_session_cookie_serves_polling_and_the_event_stream_but_never_a_socket(
    stack: Stack, node: Node
) -> None:
    user = fresh("pro")
    await stack.set_tier(user, "pro")
    (session,) = encoded(node, authjs(user, NEW))
    cookie = cookie_header({AUTHJS: session})
    async with stack.client(user) as witness, stack.gateway_http() as http:
        await witness.first("connected")
        await stack.publish(premium())
        await witness.signals_received(1)
        latest = await http.get(LATEST, headers=cookie)
        assert latest.status_code == 200
        assert latest.json()[0]["type"] == "PREMIUM"
        assert (await http.get("/api/v1/signals/subscribed", headers=cookie)).json()["user_tier"] == "pro"
        async with http.stream("GET", "/api/v1/signals/stream", headers=cookie) as stream:
            assert stream.status_code == 200
        for path in (LATEST, "/api/v1/signals/subscribed", "/api/v1/signals/stream", "/api/v1/ledger"):
            evil = {**cookie, "Origin": "https://evil.test"}
            assert (await http.get(path, headers=evil)).json()["code"] == "cross_site"
    socket = stack.client(user, token="", token_in="nowhere", origin=ORIGIN)
    socket._headers = cookie
    async with socket:
        assert await socket.closed() == 4503
        assert not socket.of("connected")


async def test_a_page_of_an_allowed_origin_may_read_its_token_and_others_may_not(stack: Stack, node: Node) -> None:
    (session,) = encoded(node, authjs("alice", NEW))
    cookie = cookie_header({AUTHJS: session})
    async with stack.gateway_http() as http:
        ours = await http.get(EXCHANGE, headers={**cookie, "Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"})
        assert ours.status_code == 200
        assert ours.headers["access-control-allow-origin"] == ORIGIN
        assert ours.headers["access-control-allow-credentials"] == "true"
        theirs = await http.get(EXCHANGE, headers={**cookie, "Origin": "https://evil.test"})
        assert (theirs.status_code, theirs.json()["code"]) == (403, "cross_site")
        assert "access-control-allow-origin" not in theirs.headers


async def test_every_way_to_present_a_token_opens_a_socket_and_a_newer_one_prolongs_it(stack: Stack) -> None:
    user = fresh("pro")
    await stack.set_tier(user, "pro")
    for way in ("header", "subprotocol", "query"):
        async with stack.client(user, token_in=way) as client:
            await client.first("connected")
            if way == "subprotocol":
                assert client.connection.subprotocol == "tiercast.v1"
    async with stack.client(user, token="", token_in="nowhere") as client:
        soon = int(time.time()) + 6
        await client.send({"type": "auth", "token": stack.token(user, exp=soon)})
        await client.first("connected")
        assert (await client.first("error"))["code"] == "token_expiring"
        await client.send({"type": "auth", "token": stack.token(user)})
        async with stack.client(user, token=stack.token(user, exp=soon)) as other:
            assert await other.closed(within=30) == 4003
            assert other.of("error")[-1]["code"] == "token_expired"
        await client.settled()
        await client.send({"type": "auth", "token": stack.token("somebody-else")})
        assert await client.closed() == 4500


async def test_revoked_sessions_end_everywhere_and_their_tokens_never_connect_again(
    stack: Stack, node: Node, provider: OidcIssuer
) -> None:
    user = fresh("pro")
    await stack.set_tier(user, "pro")
    token, id_token = stack.token(user), provider.token(user, CLIENT_ID)
    session4, session5 = encoded(node, nextauth(user, NEW), authjs(user, NEW))
    async with stack.gateway_http() as http:
        derived = (await http.get(EXCHANGE, headers=cookie_header({AUTHJS: session5}))).json()["token"]
    await next_second()
    async with stack.client(user, token=token) as one, stack.client(user, token=derived, gateway=1) as two:
        await one.first("connected")
        await two.first("connected")
        async with async_http(base_url=stack.tiers.url, headers={"X-Admin-Key": stack.admin_key}) as admin:
            (await admin.delete(f"/api/v1/users/{user}/sessions")).raise_for_status()
        assert [await one.closed(), await two.closed()] == [4500, 4500]
        assert [client.of("error")[-1]["code"] for client in (one, two)] == ["revoked_token"] * 2
    for restarted in (False, True):
        if restarted:
            restart(stack)
        for gateway in (0, 1):
            for old in (token, derived):
                async with stack.client(user, token=old, gateway=gateway) as client:
                    assert await client.closed() == 4500
                    assert not client.of("connected")
            async with stack.gateway_http(gateway=gateway) as http:
                bearer, cookie = {"Authorization": f"Bearer {derived}"}, cookie_header({AUTHJS: session5})
                for headers in (bearer, cookie):
                    assert (await http.get(LATEST, headers=headers)).json()["code"] == "revoked_token"
                assert (await http.get(EXCHANGE, headers=cookie_header({NEXTAUTH: session4}))).status_code == 401
                form = {"grant_type": GRANT, "subject_token": id_token, "subject_token_type": ID_TOKEN}
                refused = await http.post(EXCHANGE, data=form)
                assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    await next_second()
    async with stack.client(user) as client:
        await client.first("connected")


async def next_second() -> None:
    """Tokens say in whole seconds when they were issued: go on when the next second has begun."""
    now = time.time()
    await asyncio.sleep(int(now) + 1.01 - now)


def restart(stack: Stack) -> None:
    """Start the first gateway anew, from this thread: a process ends with the thread that started it."""
    stack.gateways[0].kill()
    stack.gateways[0].wait_ended()
    stack.gateways[0].start()


async def test_no_token_stands_in_any_log_metric_or_error_of_any_service(
    stack: Stack, node: Node, provider: OidcIssuer
) -> None:
    """The last of this module: everything above has happened on this stack."""
    session4, session5 = encoded(node, nextauth("canary", NEW), authjs("canary", NEW))
    bearer, expired, id_token = stack.token("canary"), stack.token("canary", exp=1), provider.token("canary", CLIENT_ID)
    tokens = [bearer, expired, id_token, session4, session5]
    seen = []
    async with stack.gateway_http() as http:
        for token in tokens:
            for path in ("/ws/signals", LATEST, EXCHANGE, "/no/such/path", "/api/v1/signals/x/proof"):
                cookie = cookie_header({AUTHJS: token, NEXTAUTH: token + "x"})
                for headers in ({}, {"Authorization": f"Bearer {token}x"}, {**cookie, "Origin": "https://evil.test"}):
                    answer = await http.get(path, params={"token": token, "limit": token}, headers=headers)
                    seen += [answer.text, str(answer.headers)]
            for kind in (JWT, ID_TOKEN, token):
                form = {"grant_type": GRANT, "subject_token": token + "x", "subject_token_type": kind}
                seen.append((await http.post(EXCHANGE, data=form)).text)
        seen += [(await http.get(service.metrics_url)).text for service in stack.services]
    for token in tokens:
        async with stack.client("canary", token=f"{token}x", token_in="query") as client:
            assert await client.closed() == 4500
            seen += [raw.decode() for raw in client.raw]
    seen += [service.log.read_text() for service in stack.services]
    for token in tokens:
        for part in filter(lambda part: len(part) > 40, token.split(".")):
            assert not [text[:200] for text in seen if part in text]
