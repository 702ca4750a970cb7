"""Many light clients: each keeps count of what it gets instead of all of it, and resumes by cursor after a close."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

CONNECTING_AT_ONCE = 50
NO_RECONNECT = range(4500, 5000)
ABNORMAL = 1006


@dataclass
class Seen:
    """What the whole crowd saw."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from a signal's submission to its arrival, while `measuring`."""
    measuring: bool = False
    closes: Counter[int] = field(default_factory=Counter)
    abnormal: list[str] = field(default_factory=list)
    """Closes without a code: on which gateway, after which last frame."""
    reconnects: list[float] = field(default_factory=list)
    """When each was told `connected` again; monotonic seconds."""
    gaps: int = 0
    repeated: int = 0
    resyncs: int = 0
    deliveries: int = 0
    refused: int = 0


class Crowd:
    """Clients at the gateways `urls`; `sent_at` knows by a signal's hash when it was submitted."""

    def __init__(self, urls: Sequence[str], sent_at: Callable[[str], float | None], rng: random.Random) -> None:
        self.urls = urls
        self.sent_at = sent_at
        self.rng = rng
        self.seen = Seen()
        self.members: list[Member] = []
        self._runs: list[asyncio.Task[None]] = []
        self.door = asyncio.Semaphore(CONNECTING_AT_ONCE)

    def join(self, token: str, gateway: int) -> "Member":
        """One more."""
        member = Member(self, token, gateway)
        self.members.append(member)
        self._runs.append(asyncio.create_task(member.run()))
        return member

    @property
    def connected(self) -> int:
        """Who has been told `connected` on an open connection."""
        return sum(member.connected for member in self.members)

    def lagging(self, seq: int) -> int:
        """Who has not got everything up to this position of the feed."""
        return sum((member.last or 0) < seq for member in self.members)

    async def leave(self) -> None:
        """Disconnect everybody."""
        for task in self._runs:
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)


class Member(WSListener):
    """One client."""

    def __init__(self, crowd: Crowd, token: str, gateway: int) -> None:
        super().__init__()
        self._crowd = crowd
        self._token = token
        self.gateway = gateway
        self.connected = False
        self.last: int | None = None
        self._cursor: str | None = None
        self._retry_after = 0.0
        self._lives = 0
        self._opened = False
        self._code = ABNORMAL
        self._kind: object = None

    async def run(self) -> None:
        """Stay connected until cancelled, or told not to come back."""
        rng = self._crowd.rng
        while self._code not in NO_RECONNECT:
            await self._live()
            await asyncio.sleep(self._retry_after or rng.uniform(0, 0.5))
            self._retry_after = 0.0
            self.gateway = rng.randrange(len(self._crowd.urls))

    async def _live(self) -> None:
        query = f"?{urlencode({'cursor': self._cursor})}" if self._cursor else ""
        url = f"ws{self._crowd.urls[self.gateway].removeprefix('http')}/ws/signals{query}"
        self._code, self._kind, self._opened = ABNORMAL, None, False
        try:
            async with self._crowd.door:
                transport, _ = await ws_connect(
                    lambda: self, url, extra_headers={"Authorization": f"Bearer {self._token}"}
                )
        except (OSError, TimeoutError, WSError):
            self._crowd.seen.refused += 1
            return
        if not self._opened:  # picows says nothing of a connection that ends before its request is answered
            self._crowd.seen.refused += 1
            return
        try:
            await transport.wait_disconnected()
        finally:
            transport.disconnect(graceful=False)
            self.connected = False
        self._crowd.seen.closes[self._code] += 1
        if self._code == ABNORMAL:
            self._crowd.seen.abnormal.append(f"gateway {self.gateway}, life {self._lives}, last frame {self._kind}")

    def on_ws_connected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """The upgrade was answered."""
        self._opened = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame; PINGs are answered by picows."""
        if frame.msg_type == WSMsgType.CLOSE:
            self._code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big") or ABNORMAL
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._take(orjson.loads(frame.get_payload_as_memoryview()))

    def _take(self, message: dict[str, object]) -> None:
        seen, kind = self._crowd.seen, message["type"]
        self._kind = kind
        if isinstance(cursor := message.get("cursor"), str):
            self._cursor = cursor
        if kind == "new_signal":
            self._count(message)
        elif kind == "connected":
            self.connected = True
            if self._lives:
                seen.reconnects.append(time.monotonic())
            self._lives += 1
        elif kind == "resync_required":
            seen.resyncs += 1
            self.last = None
        elif kind == "reconnect":
            after = message["retry_after_ms"]
            assert isinstance(after, int)
            self._retry_after = after / 1000

    def _count(self, message: dict[str, object]) -> None:
        seen, seq, data = self._crowd.seen, message["seq"], message["data"]
        assert isinstance(seq, int)
        assert isinstance(data, dict)
        if self.last is not None:
            seen.gaps += max(0, seq - self.last - 1)
            seen.repeated += seq <= self.last
        self.last = seq
        seen.deliveries += 1
        if seen.measuring and (sent := self._crowd.sent_at(data["hash"])) is not None:
            seen.latencies.append(time.monotonic() - sent)
