"""Who is let in at `/ws/signals`, how, and what is answered to the others: in HTTP only what a browser could act on."""

import gc
import weakref
from types import ModuleType

import pytest

from tests.integration.gateway.edge_server import ORIGIN, EdgeServer
from tests.integration.gateway.raw_client import KEY, RawSocket, request
from tests.unit.gateway.doubles import token
from tests.unit.gateway.origins import WRONG_ORIGINS
from tiercast_gateway.sessions import Sessions
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.http_protocol import RequestDeadlines


def good(user: str = "alice") -> str:
    return token(user, iat=0, exp=2_000_000_000)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def refused(edge: EdgeServer, raw: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an upgrade that is not granted; the connection is ended."""
    with RawSocket(edge.port) as client:
        client.send(raw)
        status, headers = client.answer()
        return status, headers, client.rest().decode()


def greeting(edge: EdgeServer, path: str = "/ws/signals", headers: dict[str, str] | None = None) -> dict[str, object]:
    """The first message after an upgrade that is granted."""
    with RawSocket(edge.port) as client:
        return client.upgrade(path, headers).message()


# -- the request ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "Upgrade, keep-alive"},
        {"Connection": "upgrade"},
        {"Connection": "UPGRADE ,  Keep-Alive"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "WEBSOCKET"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Cookie": "session=" + "c" * 4096},
        {"Cookie": "session=" + "c" * 12_000},
        {"X-Forwarded-For": "10.0.0.1", "Accept-Language": "de-CH,de;q=0.9", "User-Agent": "é"},
    ],
    ids=lambda headers: str(headers)[:60],
)
def test_every_browsers_way_to_ask_is_granted(edge: EdgeServer, headers: dict[str, str]) -> None:
    assert greeting(edge, headers={**bearer(good()), **headers})["type"] == "connected"


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_request_that_arrives_in_pieces_is_granted(edge: EdgeServer, step: int) -> None:
    raw = request(headers=bearer(good()))
    with RawSocket(edge.port) as client:
        for at in range(0, len(raw), step):
            client.send(raw[at : at + step])

        assert client.answer()[0] == 101
        assert client.message()["type"] == "connected"


def test_no_extension_and_nothing_else_is_agreed_to(edge: EdgeServer) -> None:
    headers = {**bearer(good()), "Sec-WebSocket-Extensions": "permessage-deflate"}
    with RawSocket(edge.port) as client:
        client.send(request(headers=headers))
        status, answered = client.answer()

    assert status == 101
    assert set(answered) == {"upgrade", "connection", "sec-websocket-accept"}


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("tiercast.v1", "tiercast.v1"),
        (f"tiercast.v1, bearer.{good()}", "tiercast.v1"),
        (f"bearer.{good()},tiercast.v1", "tiercast.v1"),
        (f"bearer.{good()}", None),
        ("graphql-ws, tiercast.v2", None),
        ("TIERCAST.V1", None),
        (None, None),
    ],
    ids=["alone", "with a token", "after a token", "token alone", "others", "capitals", "none"],
)
def test_the_subprotocol_answered_is_tiercast_v1_or_none(
    edge: EdgeServer, offered: str | None, answered: str | None
) -> None:
    with RawSocket(edge.port) as client:
        client.send(request(headers={"Sec-WebSocket-Protocol": offered} if offered else {}))
        status, headers = client.answer()

    assert (status, headers.get("sec-websocket-protocol")) == (101, answered)
    assert "bearer" not in str(headers)


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/ws/signals/", "/ws/signalsx", "/ws/stats", "/WS/SIGNALS", "/ws/signals%20", "//ws/signals"]
)
def test_a_wrong_path_is_404(edge: EdgeServer, path: str) -> None:
    status, headers, body = refused(edge, request(f"{path}?token={good()}"))

    assert (status, headers["connection"].lower()) == (404, "close")
    assert "/ws/signals" in body
    assert good() not in body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request(headers={"Sec-WebSocket-Version": "12"}), 426),
        (request(headers={"Sec-WebSocket-Version": "8"}), 426),
        (request(headers={"Sec-WebSocket-Version": "13, 8"}), 426),
        (request(without=["Sec-WebSocket-Version"]), 426),
        (request(without=["Sec-WebSocket-Key"]), 400),
        (request(headers={"Sec-WebSocket-Key": "short"}), 400),
        (request(headers={"Sec-WebSocket-Key": KEY + "AAAA"}), 400),
        (request(method="POST", headers={"Content-Length": "0"}), 400),
    ],
)
def test_what_is_no_upgrade_of_ours_is_refused(edge: EdgeServer, raw: bytes, status: int) -> None:
    answered, headers, _ = refused(edge, raw)

    assert answered == status
    assert status != 426 or headers["sec-websocket-version"] == "13"


def test_a_request_without_an_upgrade_is_no_websocket(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as client:
        client.send(request(without=["Upgrade"], headers={"Connection": "keep-alive"}))

        assert client.answer()[0] == 404


# -- Origin ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", WRONG_ORIGINS)
def test_every_origin_but_the_exact_one_is_403(edge: EdgeServer, origin: str) -> None:
    status, _, body = refused(edge, request(f"/ws/signals?token={good()}", {"Origin": origin}))

    assert status == 403
    assert "Origin" in body
    assert good() not in body


def test_the_exact_origin_is_let_in(edge: EdgeServer) -> None:
    assert greeting(edge, headers={"Origin": ORIGIN, **bearer(good())})["type"] == "connected"


def test_a_client_that_is_no_browser_names_no_origin_and_is_let_in(edge: EdgeServer) -> None:
    assert greeting(edge, headers=bearer(good()))["type"] == "connected"


@pytest.mark.parametrize("order", [(ORIGIN, "https://evil.com"), ("https://evil.com", ORIGIN)])
def test_two_origins_are_403(edge: EdgeServer, order: tuple[str, str]) -> None:
    first, second = order
    raw = request(headers={"Origin": first}).replace(b"\r\n\r\n", f"\r\nOrigin: {second}\r\n\r\n".encode())

    assert refused(edge, raw)[0] == 403


def test_a_cookie_authenticates_no_socket(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade(headers={"Cookie": f"token={good()}; next-auth.session-token={good()}"})
        client.say(type="ping")

        assert client.message()["type"] == "error"


# -- the token ------------------------------------------------------------------------------------

WAYS = {
    "header": ("/ws/signals", bearer(good("header"))),
    "header in capitals": ("/ws/signals", {"AUTHORIZATION": f"BEARER  {good('header')} "}),
    "subprotocol": ("/ws/signals", {"Sec-WebSocket-Protocol": f"tiercast.v1, bearer.{good('subprotocol')}"}),
    "query": (f"/ws/signals?token={good('query')}", {}),
    "query among others": (f"/ws/signals?symbols=AAPL&token={good('query')}&x=1", {}),
}


def user_of(edge: EdgeServer) -> set[str]:
    return {connection.user_id for connection in edge.connections()}


@pytest.mark.parametrize(("path", "headers"), WAYS.values(), ids=WAYS.keys())
def test_each_way_to_give_a_token_is_taken(edge: EdgeServer, path: str, headers: dict[str, str]) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade(path, headers)
        assert client.message()["type"] == "connected"

        assert user_of(edge) & {"header", "subprotocol", "query"}


def test_a_token_may_be_the_first_message(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade()
        client.say(type="auth", token=good("message"))

        assert client.message()["type"] == "connected"
        assert "message" in user_of(edge)


@pytest.mark.parametrize(
    ("headers", "query", "used"),
    [
        (
            {**bearer(good("header")), "Sec-WebSocket-Protocol": f"bearer.{good('subprotocol')}"},
            good("query"),
            "header",
        ),
        ({"Sec-WebSocket-Protocol": f"bearer.{good('subprotocol')}"}, good("query"), "subprotocol"),
        ({"Authorization": "Basic YTpi"}, good("query"), "query"),
        ({"Authorization": "Bearer "}, good("query"), "query"),
        ({}, good("query"), "query"),
    ],
)
def test_the_safer_way_is_preferred(edge: EdgeServer, headers: dict[str, str], query: str, used: str) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade(f"/ws/signals?token={query}", headers)
        assert client.message()["type"] == "connected"

        assert used in user_of(edge)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/ws/signals", bearer("x.y.z")),
        ("/ws/signals", bearer(token(exp=1))),
        ("/ws/signals", {"Authorization": "Bearer \xff\xfe"}),
        ("/ws/signals", {"Sec-WebSocket-Protocol": "tiercast.v1, bearer.x.y.z"}),
        ("/ws/signals?token=x.y.z", {}),
        ("/ws/signals?token=%ff%00%0d%0a", {}),
        (f"/ws/signals?token={good()}", bearer("x.y.z")),
    ],
)
def test_a_bad_token_is_let_in_told_and_closed_with_4500(edge: EdgeServer, path: str, headers: dict[str, str]) -> None:
    """A browser sees a refused upgrade as 1006 and would come back for ever."""
    with RawSocket(edge.port) as client:
        client.upgrade(path, headers)

        error = client.message()
        assert (error["type"], error["code"]) == ("error", "invalid_token")
        assert "x.y.z" not in str(error)
        assert client.closed().close_code == 4500


def test_an_empty_token_is_none(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade("/ws/signals?token=")
        client.say(type="auth", token=good())

        assert client.message()["type"] == "connected"


# -- the query ------------------------------------------------------------------------------------


def test_symbols_in_the_query_are_the_filter(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade(f"/ws/signals?symbols=aapl,BTC%2FUSD&symbols=BRK.B&token={good()}")
        client.message("connected")
        client.say(type="subscribe", symbols=["MSFT"])

        assert client.message("subscribed")["symbols"] == ["AAPL", "BRK.B", "BTC/USD", "MSFT"]


@pytest.mark.parametrize("symbols", ["", "no symbol", "A,,B", "%00", "A" * 21, ",".join(f"S{n}" for n in range(501))])
def test_a_filter_that_is_none_is_told_and_closed_with_4501(edge: EdgeServer, symbols: str) -> None:
    with RawSocket(edge.port) as client:
        client.upgrade(f"/ws/signals?symbols={symbols.replace(' ', '%20')}&token={good()}")

        assert "symbols" in client.message()["message"]
        assert client.closed().close_code == 4501


def test_a_cursor_in_the_query_resumes(edge: EdgeServer) -> None:
    edge.publish(3)
    with RawSocket(edge.port) as client:
        cursor = edge.cursors.seal("epoch-1", edge.log.head - 2)
        client.upgrade(f"/ws/signals?cursor={cursor}", bearer(good()))

        assert client.message()["recovered"] is True
        assert [client.message()["seq"] for _ in range(2)] == [edge.log.head - 1, edge.log.head]


def test_a_starter_is_sent_standard_signals_only(edge: EdgeServer) -> None:
    edge.tiers_of["poor"] = Tier.STARTER
    with RawSocket(edge.port) as client:
        client.upgrade(headers=bearer(good("poor")))
        assert client.message()["user_tier"] == "starter"
        edge.publish(2, premium=True)
        edge.publish()

        assert client.message()["data"]["type"] == "STANDARD"


# -- a replica that cannot ------------------------------------------------------------------------


def test_a_connection_leaves_nothing_behind_that_only_a_garbage_collection_frees() -> None:
    with EdgeServer() as edge:
        gc.collect()
        gc.disable()
        try:
            with RawSocket(edge.port) as client:
                client.upgrade(headers={"Authorization": f"Bearer {good()}"}).message("connected")
                connection = weakref.ref(edge.call(lambda: next(iter(edge.sessions)).wire))
                # uvicorn's protocol has handed over: only its parser would keep it
                assert edge.call(lambda: [one for one in gc.get_objects() if isinstance(one, RequestDeadlines)]) == []
            while not edge.call(lambda: connection() is None):  # the loop has not heard of its end yet
                pass
        finally:
            gc.enable()


def texts_within(root: object, *, steps: int = 5) -> set[str]:
    """All texts that an object holds, itself or through others; what all connections share is not looked into."""
    found, seen, border = set(), {id(root)}, [root]
    for _ in range(steps):
        held = {id(one): one for one in gc.get_referents(*border)}
        border = [
            one for one in held.values() if id(one) not in seen and not isinstance(one, type | ModuleType | Sessions)
        ]
        seen |= held.keys()
        found |= {
            one if isinstance(one, str) else one.decode("latin-1") for one in border if isinstance(one, str | bytes)
        }
    return found


@pytest.mark.parametrize("in_the_query", [True, False])
def test_neither_the_token_nor_anything_else_of_the_request_is_kept_with_the_connection(
    edge: EdgeServer, *, in_the_query: bool
) -> None:
    path, headers = (f"/ws/signals?token={good()}", {}) if in_the_query else ("/ws/signals", bearer(good()))
    with RawSocket(edge.port) as client:
        client.upgrade(path, {**headers, "User-Agent": "canary"}).message("connected")
        [connection] = edge.connections()
        kept = edge.call(lambda: texts_within(connection.wire))

    assert {connection.id, "alice", "127.0.0.1"} <= kept
    assert [text for text in kept if good() in text or KEY in text or "canary" in text] == []


def test_a_replica_that_is_not_ready_answers_503_with_retry_after() -> None:
    with EdgeServer(refusal=lambda: "this replica is not ready yet") as edge:
        status, headers, body = refused(edge, request(f"/ws/signals?token={good()}"))

    assert (status, headers["retry-after"], body) == (503, "1", "this replica is not ready yet")


def test_a_fault_of_ours_answers_500_without_what_was_sent() -> None:
    canary = good("canary")

    def fail() -> str | None:
        raise RuntimeError(f"cannot decide about {canary}")

    with EdgeServer(refusal=fail) as edge:
        status, _, body = refused(edge, request(f"/ws/signals?token={canary}", bearer(canary)))

    assert status == 500
    assert canary not in body
    assert "cannot decide" not in body


# -- half a request -------------------------------------------------------------------------------


class Impatient(RequestDeadlines):
    """The production class, less patient."""

    head_seconds = body_seconds = 0.3


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_request_whose_head_does_not_come_is_ended(loop: str) -> None:
    halves = [b"", b"G", b"GET /ws/signals HTTP/1.1\r\n", request()[:-2], request()[:-1], b"\r\n\r\n"]
    with EdgeServer(loop, http=Impatient) as edge:
        clients = [RawSocket(edge.port) for _ in halves]
        for client, half in zip(clients, halves, strict=True):
            client.send(half)

        for client in clients:
            with client:
                assert client.rest() == b""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_request_whose_body_does_not_come_is_ended(loop: str) -> None:
    head, five = b"POST /echo HTTP/1.1\r\nHost: x\r\n", b"Content-Length: 5\r\n\r\n"
    with EdgeServer(loop, http=Impatient) as edge:
        for half in (five, five + b"abc", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
            with RawSocket(edge.port) as client:
                client.send(head + half)
                assert client.rest() == b""
        with RawSocket(edge.port) as client:
            client.send(head + five + b"ab")
            client.send(b"cde")
            assert client.answer()[0] == 200
            assert client.body() == b"abcde"
            client.send(head + five + b"ab")
            assert client.rest() == b""


def test_bytes_that_trickle_in_do_not_prolong_the_wait() -> None:
    with EdgeServer(http=Impatient) as edge, RawSocket(edge.port) as client:
        client.trickle(request(headers={"X-Padding": "x" * 4000}), every=0.05)

        assert client.rest() == b""


def test_whoever_sent_a_whole_head_is_left_alone() -> None:
    with EdgeServer(http=Impatient) as edge, RawSocket(edge.port) as idle, RawSocket(edge.port) as socket:
        socket.upgrade(headers=bearer(good()))
        socket.message("connected")
        ask = b"GET /ws/stats HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            idle.send(ask)
            assert idle.answer()[0] == 200
            idle.body()
            edge.call(lambda: None)
            idle.wait(Impatient.head_seconds * 1.5)
        socket.say(type="ping")

        assert socket.message()["type"] == "pong"


def test_a_second_request_on_the_connection_has_the_same_limit() -> None:
    with EdgeServer(http=Impatient) as edge, RawSocket(edge.port) as client:
        client.send(b"GET /ws/stats HTTP/1.1\r\nHost: x\r\n\r\n")
        client.answer()
        client.body()
        client.send(b"GET /ws/stats HTTP/1.1\r\nHost")

        assert client.rest() == b""


def test_a_head_without_end_is_refused_long_before_it_fills_the_memory() -> None:
    with EdgeServer() as edge, RawSocket(edge.port) as client:
        client.flood(
            b"GET / HTTP/1.1\r\n" + b"X-Padding: " + b"x" * 1000 + b"\r\n", more=b"x: " + b"y" * 60_000 + b"\r\n"
        )

        assert client.flooded < 5_000_000
