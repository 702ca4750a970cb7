"""Many upgrades from one address, and thousands of connections that never say who they are."""

import contextlib
import socket

from tests.integration.gateway.edge_server import EdgeServer
from tests.integration.gateway.raw_client import RawSocket
from tests.integration.gateway.test_upgrade import good
from tiercast_gateway.handshake_limits import HandshakeLimits
from tiercast_shared.http_protocol import RequestDeadlines

HALF_OPEN = 5000


class Impatient(RequestDeadlines):
    """The production class, but the whole crowd must be there before it is reaped."""

    head_seconds = 30.0


def test_one_address_is_refused_above_its_limit_and_counted() -> None:
    with EdgeServer(handshakes=HandshakeLimits(3)) as edge:
        answers = []
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as raw:
                raw.sendall(
                    b"GET /ws/signals HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"X-Forwarded-For: 198.51.100.%d\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % len(answers)
                )
                answers.append(raw.recv(4096).split(b"\r\n")[0])
        refused = [answer for answer in answers if b" 503 " in answer]
        assert {answer.split()[1] for answer in answers} == {b"101", b"503"}
        assert edge.call(lambda: edge.edge.handshake.refused["flood"]) == len(refused)
        assert edge.call(lambda: edge.edge.handshake.asked) == 20


def test_thousands_of_half_open_connections_leave_a_healthy_client_alone() -> None:
    with EdgeServer(http=Impatient) as edge, contextlib.ExitStack() as crowd, RawSocket(edge.port) as client:
        client.upgrade(headers={"Authorization": f"Bearer {good('healthy')}"}).message("connected")
        for _ in range(HALF_OPEN):
            half = crowd.enter_context(socket.create_connection(("127.0.0.1", edge.port), timeout=10))
            half.sendall(b"GET /ws/signals HTTP/1.1\r\nHost:")
        edge.publish(100)
        received = [client.message("new_signal")["seq"] for _ in range(100)]
        assert received == list(range(1, 101))
