"""What tests of the gateway share: small fakes of what its pure parts are given, and readers of what they wrote."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OctKey

from tiercast_gateway.audience import Symbols
from tiercast_gateway.auth import TokenVerifier
from tiercast_gateway.clients import LogPage
from tiercast_gateway.connection import Connection
from tiercast_gateway.connection_limits import ConnectionLimits
from tiercast_gateway.cursor import CursorCodec
from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS
from tiercast_gateway.feed import Applied, SignalFeed
from tiercast_gateway.hub import Hub
from tiercast_gateway.missed import MissedSignals
from tiercast_gateway.presence import Presence
from tiercast_gateway.ring import LogEntry
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.signatures import OwnKeys
from tiercast_gateway.tier_cache import TierCache
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged, TierLookup, TierState
from tiercast_shared.errors import Unavailable

EPOCH = "epoch-1"
SECRET = "a-secret-for-tests-of-enough-length"
ISSUER = "https://issuer.test"
AUDIENCE = "tiercast-test"
NOW = 1_800_000_000.0

Frame = dict[str, Any]


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Turns:
    """An event loop's queue of callbacks, run by hand."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def call_soon(self, turn: Callable[[], None]) -> None:
        self.waiting.append(turn)

    def one(self) -> bool:
        """Run what is next; false if nothing waits."""
        if not self.waiting:
            return False
        self.waiting.popleft()()
        return True

    def drain(self, limit: int = 100_000) -> None:
        for _ in range(limit):
            if not self.one():
                return
        raise AssertionError(f"still turning after {limit} turns")


class FakeWire:
    """A transport's side: keeps what was sent, and takes no more than `room` bytes until it is given more."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        """How many more bytes the socket takes; None for any number."""
        self.sent = bytearray()
        self.waiting = bytearray()
        """What the socket has left to the transport."""
        self.sends = 0
        self.closes: list[tuple[int, str]] = []
        self.pings = 0
        self.alive = True
        self.congested = False
        self.on_congested: Callable[[], None] = lambda: None
        self.on_drained: Callable[[], None] = lambda: None

    def write(self, frames: bytes, /) -> int:
        assert not self.closes, "written behind the close frame"
        assert not self.congested, "written past bytes that wait"
        self.sends += 1
        taken = len(frames) if self.room is None else min(self.room, len(frames))
        if not taken:
            raise BlockingIOError
        self._take(frames[:taken])
        return taken

    def queue(self, data: bytes | memoryview) -> None:
        assert not self.closes, "queued behind the close frame"
        self.waiting += data
        if not self.congested:
            self.congested = True
            self.on_congested()

    def close(self, code: int, reason: str) -> None:
        assert not self.closes, "closed twice"
        self.closes.append((int(code), reason))

    def ping(self) -> bool:
        assert not self.closes, "pinged behind the close frame"
        self.pings += 1
        return self.alive

    def drain(self, room: int | None = None) -> None:
        """The client reads: the socket takes up to `room` bytes more."""
        self.room = room
        taken = len(self.waiting) if room is None else min(room, len(self.waiting))
        self._take(self.waiting[:taken])
        del self.waiting[:taken]
        if self.congested and not self.waiting:
            self.congested = False
            self.on_drained()

    def _take(self, data: bytes | bytearray) -> None:
        self.sent += data
        if self.room is not None:
            self.room -= len(data)

    @property
    def frames(self) -> list[Frame]:
        """Everything written, decoded, whether the socket has taken it or not."""
        return [json.loads(payload) for payload in text_payloads(bytes(self.sent + self.waiting))]

    @property
    def signals(self) -> list[Frame]:
        return self.of("new_signal")

    @property
    def positions(self) -> list[int]:
        """Log positions of the signals written, in the order of writing."""
        return [position_of(frame) for frame in self.signals]

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    @property
    def close_code(self) -> int | None:
        return self.closes[0][0] if self.closes else None


def text_payloads(stream: bytes) -> Iterator[bytes]:
    """Payloads of unmasked text frames that follow each other without anything between (RFC 6455, section 5.2)."""
    at = 0
    while at < len(stream):
        assert stream[at] == 0x81, f"no whole text frame at byte {at}"
        size, at = stream[at + 1], at + 2
        assert size < 128, "a server must not mask"
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(stream[at : at + width], "big"), at + width
        assert at + size <= len(stream), "the last frame is cut short"
        yield stream[at : at + size]
        at += size


def signal_data(position: int, *, symbol: str = "AAPL", premium: bool = False, **more: object) -> bytes:
    """A signal as ingest renders it; its entry price tells its log position."""
    data = {
        "id": str(UUID(int=position)),
        "symbol": symbol,
        "action": "BUY",
        "entry_price": float(position),
        "stop_loss": None,
        "take_profit": None,
        "confidence": 92.5 if premium else 70.0,
        "type": "PREMIUM" if premium else "STANDARD",
        "timestamp": "2027-01-15T08:00:00Z",
        "hash": f"{position:064x}",
        "reasoning": None,
        "server_timestamp": NOW + position / 1000,
        **more,
    }
    return json.dumps(data).encode()


def position_of(frame: Mapping[str, Any]) -> int:
    return int(frame["data"]["entry_price"])


class Log:
    """A signal log: makes entries with both numberings."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.standard = 0

    def add(self, *, premium: bool = False, symbol: str = "AAPL") -> LogEntry:
        position = len(self.entries) + 1
        self.standard += not premium
        entry = LogEntry(
            position=position,
            standard_seq=None if premium else self.standard,
            symbol=symbol,
            data=signal_data(position, symbol=symbol, premium=premium),
            committed_at=NOW,
            received_at=NOW,
            published_at=NOW,
        )
        self.entries.append(entry)
        return entry

    def add_all(self, kinds: str) -> list[LogEntry]:
        """One entry per letter: `p` for premium, `s` for standard."""
        return [self.add(premium=kind == "p") for kind in kinds]

    def __getitem__(self, position: int) -> LogEntry:
        return self.entries[position - 1]

    @property
    def head(self) -> int:
        return len(self.entries)

    def between(self, after: int, upto: int | None = None) -> list[LogEntry]:
        return self.entries[after : self.head if upto is None else upto]

    def standard_before(self, position: int, limit: int) -> list[LogEntry]:
        return [entry for entry in self.entries[: position - 1] if not entry.premium][-limit:]


class LogClient:
    """Ingest's log API, answering from a `Log`; `floor` entries are archived, and `failing` makes it unavailable."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.epoch = EPOCH
        self.floor = 0
        self.failing = False
        self.asked: list[tuple[Feed, int]] = []

    async def after(self, position: int, limit: int = 1000, *, feed: Feed = Feed.ALL) -> LogPage:
        self.asked.append((feed, position))
        if self.failing:
            raise Unavailable("the log is away")
        found = [e for e in self.log.between(position) if feed is Feed.ALL or not e.premium][:limit]
        return LogPage(self.epoch, self.log.head, self.floor, found)


@dataclass
class RecordedFeed:
    """A started feed that keeps what it applied."""

    feed: SignalFeed
    applied: list[Applied]

    @property
    def positions(self) -> list[int]:
        return [applied.all.seq for applied in self.applied]


def make_feed(*, capacity: int = 1000, begun: bool = True) -> RecordedFeed:
    applied: list[Applied] = []
    feed = SignalFeed(CursorCodec("service-key"), applied.append, capacity=capacity, clock=lambda: NOW)
    if begun:
        feed.begin(EPOCH, 0, [])
    return RecordedFeed(feed, applied)


def token(user: str = "alice", *, key: str = SECRET, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A token that `make_verifier` accepts at `NOW`; None leaves a claim out."""
    usual = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 3600}
    present = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode({"alg": "HS256", **(header or {})}, present, OctKey.import_key(key))


def make_verifier(clock: Callable[[], float] = lambda: NOW, **options: Any) -> TokenVerifier:
    return TokenVerifier([OwnKeys(secret=SECRET)], **{"issuer": ISSUER, "audience": AUDIENCE, "clock": clock} | options)


class Replica:
    """The gateway's pure parts, wired as `app` wires them, with time and turns of the loop in the test's hands."""

    def __init__(
        self,
        *,
        capacity: int = 1000,
        writes_per_step: int = 256,
        max_replay: int = 100_000,
        page: int = 500,
        retry_seconds: float = 0.5,
    ) -> None:
        self.clock, self.monotonic, self.turns, self.log = Clock(), Clock(1000.0), Turns(), Log()
        self.cursors = CursorCodec("service-key")
        self.log_client = LogClient(self.log)
        self.looked_up: list[str] = []
        self.rounds: list[tuple[list[int], int]] = []
        self.feed = SignalFeed(self.cursors, lambda applied: self.hub.publish(applied), capacity=capacity)  # noqa: PLW0108 - made below
        self.hub = Hub(
            self.feed.rings,
            call_soon=self.turns.call_soon,
            on_round=lambda batch, count: self.rounds.append(([applied.all.seq for applied in batch], count)),
            on_overrun=lambda connection: self.sessions.overran(connection),  # noqa: PLW0108 - made below
            writes_per_step=writes_per_step,
        )
        self.tiers = TierCache(self.monotonic, lambda *what: self.sessions.tier_learnt(*what))  # noqa: PLW0108 - made below
        self.missed = MissedSignals(self.log_client, self.feed, self.cursors, max_replay=max_replay)
        self.presence = Presence("here", "1", clock=self.clock, monotonic=self.monotonic)
        self.limits = ConnectionLimits(self.presence, self._connection_limit, clock=self.monotonic)
        self.sessions = Sessions(
            hub=self.hub,
            feed=self.feed,
            tiers=self.tiers,
            missed=self.missed,
            limits=self.limits,
            verify=make_verifier(self.clock).verify,
            look_up=self.looked_up.append,
            entitlements=DEFAULT_ENTITLEMENTS,
            clock=self.clock,
            heartbeat_seconds=25.0,
            messages_per_second=20,
            backfill_page=page,
            backfill_retry_seconds=retry_seconds,
        )
        self.feed.begin(EPOCH, 0, [])
        self.hub.begin(0)
        self.tiers.begin(EPOCH, 0)
        self.tiers.beacon(EPOCH, 0)
        self._numbers = iter(range(1, 1_000_000))

    def _connection_limit(self, user: str) -> int:
        return DEFAULT_ENTITLEMENTS[self.tiers.last_known(user) or Tier.ELITE].max_connections

    def publish(self, *, premium: bool = False, symbol: str = "AAPL", turn: bool = True) -> LogEntry:
        entry = self.log.add(premium=premium, symbol=symbol)
        self.feed.offer(entry)
        if turn:
            self.turns.drain()
        return entry

    def publish_all(self, kinds: str) -> None:
        for kind in kinds:
            self.publish(premium=kind == "p")

    def set_tier(self, user: str, tier: Tier, reason: str = "paid") -> None:
        """The next entry of the tiers log is this change, and it arrives."""
        self.tiers.changed(tier_changed(self.tiers.applied + 1, user, tier, reason=reason))

    def revoke(self, user: str, valid_after: float) -> None:
        self.tiers.changed(session_revoked(self.tiers.applied + 1, user, valid_after))

    def answer(self, **tiers: Tier) -> None:
        """A look-up is answered at the present head."""
        version = self.tiers.applied
        known = {user: TierState(tier=tier, version=version) for user, tier in tiers.items()}
        self.tiers.answered(TierLookup(epoch=self.tiers.epoch, head=version, tiers=known))

    def socket(self, **options: Any) -> Connection:
        """A connection that has not said anything."""
        fake = FakeWire()
        connection = Connection(f"c{next(self._numbers)}", fake, **options)
        fake.on_congested = lambda: self.sessions.paused(connection)
        fake.on_drained = lambda: self.sessions.resumed(connection)
        return connection

    def connect(
        self,
        user: str = "alice",
        tier: Tier = Tier.PRO,
        *,
        symbols: Symbols | None = None,
        resume: str | None = None,
        **claims: Any,
    ) -> Connection:
        """A connection that is open, its user's tier known."""
        connection = self.socket(symbols=symbols, resume=resume)
        if self.tiers.get(user) is None:
            self.sessions.opened(connection, token(user, **claims))
            self.answer(**{user: tier})
        else:
            self.sessions.opened(connection, token(user, **claims))
        self.turns.drain()
        return connection


def wire(connection: Connection) -> FakeWire:
    assert isinstance(connection.wire, FakeWire)
    return connection.wire


def say(replica: Replica, connection: Connection, **message: object) -> None:
    replica.sessions.received(connection, json.dumps(message))


def tier_changed(seq: int, user: str, tier: Tier, *, epoch: str = EPOCH, reason: str = "paid") -> TierChanged:
    return TierChanged(
        epoch=epoch,
        seq=seq,
        user_id=user,
        tier=tier,
        previous_tier=Tier.STARTER,
        version=seq,
        reason=reason,
        changed_at=NOW,
    )


def session_revoked(seq: int, user: str, valid_after: float, *, epoch: str = EPOCH) -> SessionRevoked:
    return SessionRevoked(epoch=epoch, seq=seq, user_id=user, tokens_valid_after=valid_after)


def entitled(entries: Iterable[LogEntry], feed: Feed, symbols: Symbols | None = None) -> list[int]:
    """Positions of the entries that a feed and a filter let through."""
    return [
        entry.position
        for entry in entries
        if (feed is Feed.ALL or not entry.premium) and (symbols is None or entry.symbol in symbols)
    ]


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    """Wait until a condition holds; it is looked at every few milliseconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.005)
