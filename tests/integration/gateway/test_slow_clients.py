"""A client that does not read costs little, delays nobody, loses nothing that memory still has, and goes when it is told to."""

import socket
from collections.abc import Iterator

import pytest

from tests.integration.gateway.edge_server import LOOPS, EdgeServer
from tests.integration.gateway.raw_client import CLOSE, PING, TEXT, RawSocket, frame
from tests.unit.gateway.doubles import tier_changed, token, until
from tiercast_gateway.connection import Connection, Flow
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.tiers import Tier

SMALL = 4096
"""Receive buffer of a slow client, bytes; the kernel doubles it."""


def bearer(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user, iat=0, exp=2_000_000_000)}"}


@pytest.fixture(params=LOOPS)
def edge(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    """A server of each test's own."""
    with EdgeServer(request.param, close_seconds=0.3, capacity=1000) as server:
        yield server


def connection_of(edge: EdgeServer, user: str) -> Connection:
    return next(connection for connection in edge.connections() if connection.user_id == user)


def slow_client(edge: EdgeServer, user: str = "slow", path: str = "/ws/signals") -> RawSocket:
    """A client that has been upgraded and reads nothing more."""
    client = RawSocket(edge.port, receive_buffer=SMALL)
    client.upgrade(path, bearer(user))
    if "cursor" not in path:
        assert client.message()["type"] == "connected"
    return client


def buffered(edge: EdgeServer, user: str) -> int:
    """Bytes that wait in the server for this user's socket."""
    connection = connection_of(edge, user)
    return edge.call(connection.wire._raw.get_write_buffer_size)  # type: ignore[attr-defined]


def fill(edge: EdgeServer, user: str = "slow") -> int:
    """Publish until the user's socket takes no more; returns how many signals that took."""
    count = 0
    while connection_of(edge, user).flow is not Flow.PAUSED:
        edge.publish(5, size=10_000)
        count += 5
        assert count < 2000, "its socket takes everything"
    return count


def test_what_a_slow_client_missed_is_sent_when_it_reads_again_in_order_and_once(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        fill(edge)
        edge.publish(200, size=1000)
        total = edge.log.head

        assert [client.message("new_signal")["seq"] for _ in range(total)] == list(range(1, total + 1))
        edge.publish()
        assert client.message()["seq"] == total + 1


def test_a_client_that_resumes_far_back_and_reads_late_gets_everything(edge: EdgeServer) -> None:
    """The server's first write after the upgrade is far larger than a socket takes."""
    edge.publish(900, size=2000)
    with slow_client(edge, path=f"/ws/signals?cursor={edge.cursors.seal('epoch-1', 0)}") as client:
        edge.publish()

        assert client.message()["recovered"] is True
        assert [client.message()["seq"] for _ in range(901)] == list(range(1, 902))


def test_a_slow_client_has_no_more_than_one_piece_waiting(edge: EdgeServer) -> None:
    with slow_client(edge):
        fill(edge)
        before = buffered(edge, "slow")

        edge.publish(900, size=5000)

        assert buffered(edge, "slow") == before


def test_a_slow_client_delays_nobody(edge: EdgeServer) -> None:
    with slow_client(edge), RawSocket(edge.port) as healthy:
        healthy.upgrade(headers=bearer("healthy")).message("connected")
        fill(edge)
        edge.publish(50)

        total = edge.log.head
        assert [healthy.message("new_signal")["seq"] for _ in range(total)] == list(range(1, total + 1))


def test_a_ring_that_moves_past_a_slow_client_is_told(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        fill(edge)
        edge.publish(1100)

        assert client.message("resync_required")["reason"] == "too_slow"
        edge.publish()
        assert client.message("new_signal")["seq"] == edge.log.head


def test_a_slow_client_that_is_downgraded_is_not_sent_premium_signals_it_missed(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        fill(edge)
        seen = edge.log.head
        edge.publish(20, premium=True)
        edge.publish()
        edge.call(lambda: edge.tiers.changed(tier_changed(1, "slow", Tier.STARTER)))

        received = [client.message() for _ in range(seen + 2)]
        late = [message["data"]["type"] for message in received if message["type"] == "new_signal"][seen:]
        assert late == ["STANDARD"]


FLOODS = {
    "protocol pings": frame(PING, b"x" * 125),
    "pings": frame(TEXT, b'{"type":"ping"}'),
    "subscriptions": frame(TEXT, b'{"type":"subscribe","symbols":["A"]}'),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_client_that_only_talks_is_listened_to_no_longer_than_it_reads(edge: EdgeServer, flood: bytes) -> None:
    with slow_client(edge) as client:
        client.pour(flood * 200)

        assert client.poured < 30_000_000, "the server took everything"
        assert buffered(edge, "slow") < 5_000_000, "the answers to what was read at once"


def test_a_client_that_talks_much_and_reads_is_answered_everything(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        for _ in range(200):
            client.send(frame(PING, b"x" * 125) * 20)
            assert [client.frame().payload for _ in range(20)] == [b"x" * 125] * 20
        edge.publish()

        assert client.message()["type"] == "new_signal"


def test_a_slow_client_that_reads_is_alive_although_nothing_is_read_from_it(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        fill(edge)
        connection = connection_of(edge, "slow")
        edge.call(connection.wire.ping)
        while connection.flow is Flow.PAUSED:
            client.frame()

        assert edge.call(connection.wire.ping) is True


def test_a_client_that_reads_nothing_is_not_alive(edge: EdgeServer) -> None:
    with slow_client(edge):
        fill(edge)
        connection = connection_of(edge, "slow")

        edge.call(connection.wire.ping)

        assert edge.call(connection.wire.ping) is False


def sockets(edge: EdgeServer) -> int:
    """Sockets that the server holds, open or closing."""
    return edge.call(lambda: len(edge.sessions) + edge.sessions.leaving)


async def test_a_client_that_has_gone_is_answered_no_more(edge: EdgeServer, caplog: pytest.LogCaptureFixture) -> None:
    """Much of what it said is still to be read then, and each answer to it would be a warning of the event loop."""
    with slow_client(edge) as client:
        client.pour(FLOODS["subscriptions"] * 200)
    await until(lambda: sockets(edge) == 0)

    assert caplog.records == []


@pytest.mark.parametrize("code", [CloseCode.NO_PONG, CloseCode.TOO_SLOW, CloseCode.DRAINING])
async def test_a_client_that_reads_nothing_is_gone_soon_after_it_was_closed(edge: EdgeServer, code: CloseCode) -> None:
    with slow_client(edge) as client:
        fill(edge)
        connection = connection_of(edge, "slow")

        edge.call(lambda: edge.sessions.close(connection, code, "closed"))
        await until(lambda: sockets(edge) == 0)

        client.rest()


async def test_a_client_that_closes_and_reads_nothing_is_gone_soon(edge: EdgeServer) -> None:
    with slow_client(edge) as client:
        fill(edge)
        connection = connection_of(edge, "slow")

        client.send(frame(CLOSE))
        edge.call(connection.wire._raw.resume_reading)  # type: ignore[attr-defined] # as if both had come at once

        await until(lambda: edge.call(lambda: connection.wire._transport is None))  # type: ignore[attr-defined]


async def test_a_client_that_breaks_off_in_the_middle_of_a_round_harms_nobody(edge: EdgeServer) -> None:
    with RawSocket(edge.port) as healthy:
        healthy.upgrade(headers=bearer("healthy")).message("connected")
        broken = [slow_client(edge, f"broken-{number}") for number in range(5)]
        fill(edge, "broken-0")

        for number, client in enumerate(broken):
            client.reset() if number % 2 else client.__exit__(None, None, None)
            edge.publish(3)

        total = edge.log.head
        assert [healthy.message("new_signal")["seq"] for _ in range(total)] == list(range(1, total + 1))
        await until(lambda: sockets(edge) == 1)
        assert edge.call(lambda: edge.hub.live) == 1


def test_descriptors_are_given_back_and_never_mixed_up(edge: EdgeServer) -> None:
    """A closed socket's number is soon another client's: what was meant for one must not reach the other."""
    for number in range(60):
        with RawSocket(edge.port) as client:
            client.upgrade(headers=bearer(f"user-{number}"))
            assert client.message()["type"] == "connected"
            edge.publish()
            assert client.message()["seq"] == edge.log.head
            if number % 3 == 0:
                client.reset()
    with RawSocket(edge.port) as last:
        last.upgrade(headers=bearer("last")).message("connected")
        plain = socket.create_connection(("127.0.0.1", edge.port))
        edge.publish()
        assert last.message()["seq"] == edge.log.head
        plain.settimeout(0.1)
        with pytest.raises(TimeoutError):
            plain.recv(1)
        plain.close()
