"""Whatever the other services answer, the gateway understands it or finds them unavailable, and goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.gateway.doubles import NOW, signal_data
from tiercast_gateway.clients import IngestClient, TiersClient
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable

ENTRY = {
    "seq": 8,
    "standard_seq": None,
    "feed": "all",
    "symbol": "AAPL",
    "received_at": NOW,
    "committed_at": NOW,
    "data": json.loads(signal_data(8)),
}


class Answering:
    """An HTTP server that gives one answer to everything, and keeps what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        self.requests.append(head + await reader.readexactly(size))
        writer.write(self._answer)
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def answering(
    body: object = None, *, status: str = "200 OK", raw: bytes | None = None
) -> AsyncIterator[Answering]:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n".encode()
    service = Answering(head + payload if raw is None else raw)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield service


@asynccontextmanager
async def ingest(url: str) -> AsyncIterator[IngestClient]:
    client = IngestClient(url, "service-key")
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def tiers(url: str) -> AsyncIterator[TiersClient]:
    client = TiersClient(url, "service-key")
    try:
        yield client
    finally:
        await client.close()


async def test_a_page_of_the_signal_log_is_read_with_the_services_key() -> None:
    async with (
        answering({"epoch": "e", "head": 9, "standard_head": 3, "entries": [ENTRY], "more": "fields"}) as service,
        ingest(service.url) as client,
    ):
        page = await client.after(7)

    assert (page.epoch, page.head, [entry.position for entry in page.entries]) == ("e", 9, [8])
    assert page.entries[0].premium
    assert page.entries[0].published_at is None
    assert json.loads(page.entries[0].data) == ENTRY["data"]
    assert b"GET /api/v1/log?after=7&limit=1000&feed=all " in service.requests[0]
    assert b"x-service-key: service-key" in service.requests[0].lower()


async def test_the_last_standard_entries_are_asked_for_backwards() -> None:
    async with (
        answering({"epoch": "e", "head": 9, "standard_head": 3, "entries": []}) as service,
        ingest(service.url) as client,
    ):
        await client.standard_before(7, 50)

    assert b"before=7" in service.requests[0]
    assert b"feed=standard" in service.requests[0]
    assert b"after=" not in service.requests[0]


async def test_users_are_looked_up_in_one_request() -> None:
    answer = {"epoch": "e", "head": 3, "tiers": {"a": {"tier": "pro", "version": 3, "tokens_valid_after": None}}}
    async with answering(answer) as service, tiers(service.url) as client:
        lookup = await client.lookup(["a", "é"])

    assert (lookup.epoch, lookup.head, lookup.tiers["a"].tier) == ("e", 3, Tier.PRO)
    assert json.loads(service.requests[0].partition(b"\r\n\r\n")[2]) == {"user_ids": ["a", "é"]}


BAD_BODIES: dict[str, object] = {
    "nothing": b"",
    "a page of a proxy": b"<html>welcome</html>",
    "not UTF-8": b'{"epoch":"\xff"}',
    "cut short": b'{"epoch":"e","head":9,"entries":[',
    "null": None,
    "a list": [],
    "a number": 7,
    "an empty object": {},
    "no epoch": {"head": 9, "standard_head": 1, "entries": [], "tiers": {}},
    "an epoch that is a number": {"epoch": 7, "head": 9, "standard_head": 1, "entries": [], "tiers": {}},
    "a head that is text": {"epoch": "e", "head": "x", "standard_head": 1, "entries": [], "tiers": {}},
    "a head below nothing": {"epoch": "e", "head": -1, "standard_head": 1, "entries": [], "tiers": {}},
    "entries that are no list": {"epoch": "e", "head": 9, "standard_head": 1, "entries": {"a": 1}, "tiers": []},
    "entries without fields": {"epoch": "e", "head": 9, "standard_head": 1, "entries": [{}], "tiers": {"a": {}}},
    "entries that are nothing": {"epoch": "e", "head": 9, "standard_head": 1, "entries": [None], "tiers": {"a": None}},
    "an unknown tier": {
        "epoch": "e",
        "head": 9,
        "standard_head": 1,
        "entries": [ENTRY | {"seq": "x"}],
        "tiers": {"a": {"tier": "gold", "version": 1}},
    },
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_an_answer_that_makes_no_sense_is_unavailable(body: object) -> None:
    async with answering(body) as service, ingest(service.url) as signals, tiers(service.url) as users:
        for ask, about in (
            (signals.after, 0),
            (signals.standard_before, 5),
            (users.lookup, ["a"]),
            (users.changes, 0),
        ):
            with pytest.raises(Unavailable, match="/api/v1/"):
                await ask(about)  # type: ignore[operator] # each with what it takes


@pytest.mark.parametrize(
    "status", ["401 Unauthorized", "404 Not Found", "422 x", "500 x", "503 x", "302 Found", "204 x"]
)
async def test_every_status_but_200_is_unavailable_and_named(status: str) -> None:
    async with answering({"detail": "why"}, status=status) as service, ingest(service.url) as client:
        with pytest.raises(Unavailable, match=status[:3]):
            await client.after(0)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", b"garbage\r\n\r\n"])
async def test_a_broken_connection_is_unavailable(raw: bytes) -> None:
    async with answering(raw=raw) as service, ingest(service.url) as client:
        with pytest.raises(Unavailable):
            await client.after(0)


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    async with answering() as service:
        url = service.url
    async with tiers(url) as client:
        with pytest.raises(Unavailable, match=url):
            await client.lookup(["a"])
