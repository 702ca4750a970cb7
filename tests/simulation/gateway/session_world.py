"""One replica's pure core among random users, tiers logs and sockets, with a model of what each client is owed.

Time, turns of the loop, look-ups and the tiers log are the schedule's; only the pages of the signal log come through asyncio.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from tests.unit.gateway.doubles import EPOCH, FakeWire, Replica, tier_changed, token
from tiercast_gateway.connection import Connection, Flow, State
from tiercast_gateway.hub import Hub
from tiercast_gateway.tier_cache import LEASE_SECONDS
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import SessionRevoked, Tier, TierChanged, TierLookup, TierState

USERS = ("ann", "bob", "cid")
CAPACITY = 12


class StrictWire(FakeWire):
    """Refuses what its client is not entitled to at the moment of writing."""

    connection: Connection
    hub: Hub

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[int] = []
        """Where the hub was each time when it was told `connected` or to resync."""

    def write(self, frames: bytes, /) -> int:
        self._judge(frames)
        return super().write(frames)

    def queue(self, data: bytes | memoryview) -> None:
        if not self.congested and self.sends:
            pass  # the rest of what was judged when it was written
        else:
            self._judge(bytes(data))
        super().queue(data)

    def _judge(self, frames: bytes) -> None:
        if b'"type":"connected"' in frames or b'"type":"resync_required"' in frames:
            self.begun.append(self.hub.head)
        if self.connection.feed is Feed.STANDARD:
            assert b'"PREMIUM"' not in frames, f"a premium signal for {self.connection.tier}"


@dataclass
class Client:
    """A connection and what it must be told."""

    connection: Connection
    wire: StrictWire
    user: str
    since: int
    """It came, or was told to resync, with everything up to here; -1 for where the hub was when it came."""
    read: int = 0
    """Frames of its stream that were taken in."""
    got: dict[int, int] = field(default_factory=dict)
    """Position of each signal, by the number of times it came."""
    told: int = 0
    """How often it was told to resync."""
    cursor: str | None = None
    """The newest it was given."""
    came_back: bool = False
    """It has resumed, so what it had since its cursor may come again, marked as a replay."""
    excused: bool = False
    """An earlier connection of the same client was told to resync."""


@dataclass
class SessionWorld:
    """Steps are methods; `heal` ends a schedule, and `check` says what must hold then."""

    chance: random.Random
    events: list[TierChanged | SessionRevoked] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    lookups: list[TierLookup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replica = Replica(capacity=CAPACITY, writes_per_step=self.chance.choice((1, 2, 512)))
        self.real = dict.fromkeys(USERS, Tier.STARTER)
        self._known: dict[str, Tier | None] = dict.fromkeys(USERS)
        self.stable = dict.fromkeys(USERS, 0)
        """Head of the signal log when this replica last learnt of another tier of the user."""
        for user in USERS:
            if self.chance.random() < 0.7:
                self.set_tier(user, Tier.PRO, arrives=True)

    # -- steps -----------------------------------------------------------------------------------

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.replica.publish(premium=self.chance.random() < 0.5, turn=False)

    def connect(self, user: str, back: int | None) -> None:
        """A client comes, live or with a cursor `back` positions behind the end."""
        replica = self.replica
        position = None if back is None else max(0, replica.log.head - back)
        cursor = None if position is None else replica.cursors.seal(EPOCH, position)
        connection, wire = self._socket(cursor)
        self._open(Client(connection, wire, user, -1 if position is None else position, cursor=cursor))

    def come_back(self, client: Client) -> None:
        """A client is cut off and resumes from the newest cursor it has read."""
        client.wire.drain()
        self.take_in()
        self.lose(client)
        if client.cursor is None:
            return
        connection, wire = self._socket(client.cursor)
        excused = client.excused or client.told > 0
        again = Client(
            connection, wire, client.user, client.since, cursor=client.cursor, came_back=True, excused=excused
        )
        again.got.update(client.got)
        self._open(again)

    def _socket(self, cursor: str | None) -> tuple[Connection, StrictWire]:
        replica, wire = self.replica, StrictWire()
        connection = Connection("c", wire, resume=cursor)
        wire.connection, wire.hub = connection, replica.hub
        wire.on_congested = lambda: replica.sessions.paused(connection)
        wire.on_drained = lambda: replica.sessions.resumed(connection)
        return connection, wire

    def _open(self, client: Client) -> None:
        self.clients.append(client)
        self.replica.sessions.opened(client.connection, token(client.user, exp=2_000_000_000))

    def lose(self, client: Client) -> None:
        self.replica.sessions.lost(client.connection)

    def set_tier(self, user: str, tier: Tier, *, arrives: bool) -> None:
        """The user's tier really changes; the event comes now, or only when the log is read."""
        if tier is self.real[user]:
            return
        self.real[user] = tier
        self.events.append(tier_changed(len(self.events) + 1, user, tier))
        if arrives:
            self.replica.tiers.changed(self.events[-1])

    def repeat_event(self) -> None:
        if self.events:
            self.replica.tiers.changed(self.chance.choice(self.events))

    def read_tiers_log(self) -> None:
        for event in self.events[self.replica.tiers.applied :]:
            self.replica.tiers.changed(event)
            self.observe()

    def beacon(self) -> None:
        self.replica.tiers.beacon(EPOCH, len(self.events))

    def ask(self) -> None:
        """A look-up is sent, and reads the users as they are now."""
        users = list(dict.fromkeys(self.replica.looked_up))
        if not users:
            return
        self.replica.looked_up.clear()
        self.replica.tiers.asking(users)
        states = {user: TierState(tier=self.real[user], version=self._version(user)) for user in users}
        self.lookups.append(TierLookup(epoch=EPOCH, head=len(self.events), tiers=states))

    def answer(self, *, fails: bool) -> None:
        """The oldest look-up is answered, or fails."""
        if not self.lookups:
            return
        lookup = self.lookups.pop(0)
        if fails:
            self.replica.tiers.unanswered(lookup.tiers)
            for user in lookup.tiers:
                self.replica.sessions.tier_unknown(user)
            self.replica.looked_up.extend(lookup.tiers)
        else:
            self.replica.tiers.answered(lookup)

    def pass_time(self, seconds: float) -> None:
        self.replica.monotonic.advance(seconds)
        self.replica.sessions.sweep()

    async def fetch(self) -> None:
        """The backfill gets a few turns of asyncio's."""
        for _ in range(6):
            await asyncio.sleep(0)

    def _version(self, user: str) -> int:
        return max((event.seq for event in self.events if event.user_id == user), default=0)

    def observe(self) -> None:
        """Note who is known to have another tier than before; to learn it for the first time is no change."""
        for user in USERS:
            state = self.replica.tiers._users.get(user)
            known = state.tier if state is not None else None
            if known is not self._known[user] and self._known[user] is not None:
                self.stable[user] = self.replica.log.head
            self._known[user] = known

    # -- the end ---------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Everything that was lost is found, everyone reads, and the loop comes to rest."""
        for _ in range(60):
            self.read_tiers_log()
            self.beacon()
            self.ask()
            self.answer(fails=False)
            self.observe()
            self.replica.sessions.sweep()
            for client in self.clients:
                client.wire.drain()
            self.replica.turns.drain()
            await self.fetch()

    def take_in(self) -> None:
        """Read what each client was sent, whether its socket has taken it or not."""
        for client in self.clients:
            frames = client.wire.frames
            for frame in frames[client.read :]:
                self._take(client, frame)
            client.read = len(frames)

    def _take(self, client: Client, frame: dict[str, Any]) -> None:
        client.cursor = frame.get("cursor", client.cursor)
        if frame["type"] == "connected" and client.since < 0:
            client.since = client.wire.begun[0]
        elif frame["type"] == "resync_required":
            client.told += 1
            client.since = max(client.since, client.wire.begun[client.told])
        elif frame["type"] == "new_signal":
            position = int(frame["data"]["entry_price"])
            if client.came_back and frame.get("replay") and position in client.got:
                return
            client.got[position] = client.got.get(position, 0) + 1

    def check(self) -> None:
        """Nobody was sent anything twice, and everybody everything that was owed or was told so."""
        self.take_in()
        head = self.replica.log.head
        for client in self.clients:
            assert max(client.got.values(), default=1) == 1, "something came twice"
            if client.connection.state is not State.OPEN:
                continue
            tier = self.real[client.user]
            assert client.connection.tier is tier
            assert client.connection.flow is Flow.LIVE
            stable = self.stable[client.user]
            for entry in self.replica.log.entries[client.since :]:
                if not entry.premium:
                    assert entry.position in client.got, f"standard signal {entry.position} of {head} is missing"
                elif entry.position > stable and not client.told and not client.excused:
                    owed = tier is not Tier.STARTER
                    assert (entry.position in client.got) is owed, f"premium signal {entry.position}, owed: {owed}"


async def play(seed: int, steps: int) -> SessionWorld:
    """One schedule, wholly determined by its seed."""
    chance = random.Random(seed)
    world = SessionWorld(chance)
    backfilling = asyncio.create_task(world.replica.sessions.backfill.run())
    try:
        for _ in range(steps):
            await step(world, chance)
            world.observe()
        await world.heal()
        assert not backfilling.done(), backfilling
        world.check()
    finally:
        backfilling.cancel()
        await asyncio.gather(backfilling, return_exceptions=True)
    return world


async def step(world: SessionWorld, chance: random.Random) -> None:  # noqa: C901, PLR0912 - one branch per kind of step
    kind = chance.random()
    there = [client for client in world.clients if client.connection.state is not State.CLOSED]
    client = chance.choice(there) if there else None
    if kind < 0.22:
        world.publish(chance.choice((1, 1, 2, 4)))
    elif kind < 0.44:
        world.replica.turns.one()
    elif kind < 0.54 or client is None:
        world.connect(chance.choice(USERS), chance.choice((None, None, 0, 2, 8, 30)))
    elif kind < 0.57:
        chance.choice((world.lose, world.come_back))(client)
    elif kind < 0.63:
        world.set_tier(chance.choice(USERS), chance.choice(list(Tier)), arrives=chance.random() < 0.7)
    elif kind < 0.65:
        world.repeat_event()
    elif kind < 0.68:
        world.read_tiers_log()
    elif kind < 0.72:
        world.beacon()
    elif kind < 0.78:
        world.ask()
    elif kind < 0.84:
        world.answer(fails=chance.random() < 0.2)
    elif kind < 0.88:
        world.pass_time(chance.choice((0.0, 1.0, LEASE_SECONDS + 1)))
    elif kind < 0.92:
        await world.fetch()
    elif kind < 0.95:
        client.wire.room = chance.choice((0, 100, 700))
    else:
        client.wire.drain(chance.choice((None, None, 100, 2000)))
