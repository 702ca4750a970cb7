"""Stand-ins for ingest and tiers as a gateway sees them: a broker, two event exchanges, and two HTTP APIs that tests control.

Written from the protocol document alone, without the code of either service.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import uvicorn
from aio_pika import DeliveryMode, ExchangeType, Message
from fastapi import FastAPI, Request

from tests.unit.gateway.doubles import NOW, Log
from tiercast_gateway.ring import LogEntry
from tiercast_local.ports import free_port

KEY = "a-service-key-of-enough-length"


class Upstreams:
    """The signal log, the tiers log and the users, over HTTP; events go out when the test says so."""

    def __init__(self, url: str) -> None:
        self.amqp_url = url
        self.port = free_port()
        self.epoch = "epoch-1"
        self.log = Log()
        self.tiers: dict[str, str] = {}
        self.changes: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self._connections: list[aio_pika.abc.AbstractConnection] = []
        self._exchanges: dict[str, aio_pika.abc.AbstractExchange] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- what ingest publishes -------------------------------------------------------------------

    def add(self, count: int = 1, *, premium: bool = False) -> list[LogEntry]:
        """Entries that are in the log and not published."""
        return [self.log.add(premium=premium) for _ in range(count)]

    async def publish(self, *entries: LogEntry, epoch: str | None = None, **headers: Any) -> None:
        """Publish events, in order; `headers` replace the right ones, None leaves one out."""
        for entry in entries:
            right = {
                "type": "signal.published",
                "schema": 1,
                "epoch": epoch or self.epoch,
                "seq": entry.position,
                "standard_seq": entry.standard_seq,
                "feed": "all" if entry.premium else "standard",
                "symbol": entry.symbol,
                "received_at": NOW,
                "committed_at": NOW,
                "published_at": NOW,
            }
            present = {name: value for name, value in (right | headers).items() if value is not None}
            await self.send("signals.events", entry.data, present)

    async def beacon(self, exchange: str = "signals.events", head: int | None = None) -> None:
        last = self.log.head if exchange == "signals.events" else len(self.changes)
        head = last if head is None else head
        body = {"type": "beacon", "epoch": self.epoch, "head": head, "committed": last, "at": NOW}
        await self.send(exchange, json.dumps(body).encode(), {"type": "beacon"})

    # -- what tiers publishes --------------------------------------------------------------------

    async def set_tier(self, user: str, tier: str, *, publish: bool = True) -> None:
        previous, self.tiers[user] = self.tiers.get(user, "starter"), tier
        await self._change(
            {"type": "tier.changed", "tier": tier, "previous_tier": previous, "reason": "paid"}, user, publish
        )

    async def revoke(self, user: str, valid_after: float) -> None:
        await self._change({"type": "session.revoked", "tokens_valid_after": valid_after}, user, True)

    async def _change(self, change: dict[str, Any], user: str, publish: bool) -> None:
        seq = len(self.changes) + 1
        more = {"schema": 1, "epoch": self.epoch, "seq": seq, "user_id": user, "version": seq, "changed_at": NOW}
        self.changes.append(change | more)
        if publish:
            headers = {"type": change["type"], "epoch": self.epoch, "seq": seq}
            await self.send("tiers.events", json.dumps(change | more).encode(), headers)

    async def send(self, exchange: str, body: bytes, headers: dict[str, Any], *, kind: str | None = "") -> None:
        """Publish anything; `kind` is the AMQP type, that of the headers unless told."""
        message = Message(
            body,
            headers=headers,
            type=headers.get("type") if kind == "" else kind,
            correlation_id="c-1",
            delivery_mode=DeliveryMode.NOT_PERSISTENT,
        )
        await self._exchanges[exchange].publish(message, routing_key="")

    # -- HTTP ------------------------------------------------------------------------------------

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/api/v1/log")
        async def log(after: int = 0, before: int | None = None, limit: int = 100, feed: str = "all") -> dict[str, Any]:
            self.requests.append(f"log {after if before is None else -before}")
            entries = [entry for entry in self.log.entries if feed == "all" or not entry.premium]
            if before is None:
                found = [entry for entry in entries if entry.position > after][:limit]
            else:
                found = [entry for entry in entries if entry.position < before][-limit:]
            return {
                "epoch": self.epoch,
                "head": self.log.head,
                "standard_head": self.log.standard,
                "floor": 0,
                "entries": [_rendered(entry) for entry in found],
            }

        @app.get("/api/v1/changes")
        async def changes(after: int = 0, limit: int = 100) -> dict[str, Any]:
            self.requests.append(f"changes {after}")
            page = self.changes[after : after + limit]
            entries = [{"seq": change["seq"], "data": change} for change in page]
            return {"epoch": self.epoch, "head": len(self.changes), "entries": entries}

        @app.post("/api/v1/tiers/lookup")
        async def lookup(request: Request) -> dict[str, Any]:
            asked = (await request.json())["user_ids"]
            self.requests.append(f"lookup {len(asked)}")
            head = len(self.changes)
            states = {
                user: {"tier": self.tiers.get(user, "starter"), "version": head if user in self.tiers else 0}
                for user in asked
            }
            return {"epoch": self.epoch, "head": head, "tiers": states}

        return app

    async def connect(self) -> None:
        """Connect to the broker (again, after it was broken) and declare both exchanges."""
        connection = await aio_pika.connect(self.amqp_url)
        self._connections.append(connection)
        channel = await connection.channel(publisher_confirms=True)
        for name in ("signals.events", "tiers.events"):
            self._exchanges[name] = await channel.declare_exchange(name, ExchangeType.FANOUT, durable=True)

    async def disconnect(self) -> None:
        for connection in self._connections:
            await connection.close()


def _rendered(entry: LogEntry) -> dict[str, Any]:
    return {
        "seq": entry.position,
        "standard_seq": entry.standard_seq,
        "feed": "all" if entry.premium else "standard",
        "symbol": entry.symbol,
        "received_at": NOW,
        "committed_at": NOW,
        "data": json.loads(entry.data),
    }


@asynccontextmanager
async def upstreams(amqp_url: str) -> AsyncIterator[Upstreams]:
    """Both stand-ins, up and connected."""
    stand_in = Upstreams(amqp_url)
    config = uvicorn.Config(stand_in.app(), port=stand_in.port, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())  # the public method would take over this process's signals
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    await stand_in.connect()
    try:
        yield stand_in
    finally:
        await stand_in.disconnect()
        server.should_exit = True
        await serving
