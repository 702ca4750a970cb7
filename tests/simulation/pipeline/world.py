"""The whole pipeline among faults, and what must hold while they happen and after they are over."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import orjson

from tests.simulation.pipeline.broker import LATEST, Broker
from tests.simulation.pipeline.client import Client
from tests.simulation.pipeline.database import SignalDatabase, TierDatabase
from tests.simulation.pipeline.host import Weather
from tests.simulation.pipeline.owners import Ingest, Tiers, signal_event, tier_event
from tests.simulation.pipeline.replica import Replica
from tiercast_gateway.connection import Flow, State
from tiercast_ingest.domain.content import SignalContent
from tiercast_ingest.domain.settlement import Stored, Submission
from tiercast_ingest.domain.submission import SubmittedSignal
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.eventlog.chain import GENESIS, link
from tiercast_shared.messaging.topology import SIGNALS_EVENTS
from tiercast_tiers.domain import Origin, SetTier

USERS = ("starter", "payer", "flapper")
"""The first is never entitled to premium signals, the second always, the third now and then."""

CONVERGE_SECONDS = 40.0
"""Simulated seconds after the last fault in which everything must be as if there had been none."""


class World:
    """Faults are its methods; `play` of the schedule calls them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.loop = asyncio.get_running_loop()
        self.weather = Weather(chance)
        self.weather.turn()
        self.broker = Broker(self.weather)
        self.signals = SignalDatabase(self.weather, signal_event)
        self.tier_log = TierDatabase(self.weather, tier_event)
        self.lease = chance.choice((2.0, 4.0, 30.0))
        self.slowest_block = 0.0
        self.capacity = chance.choice((6, 12, 1000))
        self.max_replay = chance.choice((25, 100_000, 100_000))
        self.met: Counter[str] = Counter()
        self._numbers = iter(range(1, 1_000_000))
        self.ingests = [self._new_ingest(), self._new_ingest()]
        self.tiers = self._new_tiers()
        self.replicas = [self._new_replica() for _ in range(chance.choice((2, 2, 3)))]
        self.clients = [Client(self, user, self.signals) for user in USERS for _ in range(chance.choice((1, 2)))]
        self.submitted: dict[str, asyncio.Task[Stored]] = {}
        self.changes: list[asyncio.Task[None]] = []
        self.settled_at = float("inf")
        """Position of the log from which on every replica knows the flapper's last tier."""

    # -- parties ----------------------------------------------------------------------------------

    def _new_ingest(self) -> Ingest:
        return Ingest(f"ingest-{next(self._numbers)}", self.weather, self.broker, self.signals)

    def _new_tiers(self) -> Tiers:
        return Tiers(f"tiers-{next(self._numbers)}", self.weather, self.broker, self.tier_log)

    def _new_replica(self) -> Replica:
        return Replica(
            f"gateway-{next(self._numbers)}",
            self.weather,
            self.broker,
            self.signals,
            self.tier_log,
            capacity=self.capacity,
            lease=self.lease,
            max_replay=self.max_replay,
        )

    # -- work -------------------------------------------------------------------------------------

    def submit(self, *, premium: bool) -> None:
        number = next(self._numbers)
        self.submitted[f"s{number}"] = self.loop.create_task(self._submit(_signal(number, premium=premium)))
        if self.chance.random() < 0.1:  # its producer did not wait for the first answer
            self.loop.create_task(self._submit(_signal(number, premium=premium)))

    async def _submit(self, signal: SubmittedSignal) -> Stored:
        """As a producer does: repeat until it is told that it is stored."""
        while True:
            ingest = self.chance.choice(self.ingests)
            try:
                async with asyncio.timeout(3.0):
                    return await ingest.writer.submit(Submission("producer", signal, "", self.loop.time()))
            except (Unavailable, TimeoutError):
                self.met["submissions repeated"] += 1
                await asyncio.sleep(0.3)

    async def contradict(self) -> None:
        """The same name for another content."""
        known = [entry for entry in self.signals.entries if entry.signal_id in self.submitted]
        if not known:
            return
        entry = self.chance.choice(known)
        other = _signal(int(entry.signal_id[1:]), premium=entry.standard_seq is not None)
        try:
            async with asyncio.timeout(3.0):
                await self.chance.choice(self.ingests).writer.submit(
                    Submission("producer", other, "", self.loop.time())
                )
        except (Unavailable, TimeoutError):
            return
        except Rejected:
            self.met["conflicts"] += 1
            return
        raise AssertionError(f"{entry.signal_id} was stored with another content")

    def set_tier(self, user: str, tier: Tier) -> None:
        self.changes.append(self.loop.create_task(self._set_tier(user, tier)))

    async def _set_tier(self, user: str, tier: Tier) -> None:
        while True:
            change = SetTier(user, tier, "bought", Origin("", "", self.loop.time()))
            try:
                async with asyncio.timeout(3.0):
                    await self.tiers.writer.submit(change)
                    return
            except (Unavailable, TimeoutError):
                await asyncio.sleep(0.3)

    # -- faults -----------------------------------------------------------------------------------

    def kill_ingest(self) -> None:
        number = self.chance.randrange(len(self.ingests))
        self.ingests[number].host.kill()
        self.ingests[number] = self._new_ingest()
        self.met["ingests killed"] += 1

    def stop_ingest(self) -> None:
        """The holder of the lease, if possible, and one always runs."""
        running = [ingest for ingest in self.ingests if not ingest.host.stopped]
        if len(running) > 1:
            holders = [ingest for ingest in running if ingest.host.name == self.signals.holder]
            ingest = (holders or running)[0]
            ingest.host.stop()
            self.loop.call_later(self.chance.uniform(0.5, 9.0), ingest.host.go_on)
            self.met["ingests stopped"] += 1

    def kill_tiers(self) -> None:
        self.tiers.host.kill()
        self.tiers = self._new_tiers()
        self.met["tiers killed"] += 1

    def kill_replica(self) -> None:
        number = self.chance.randrange(len(self.replicas))
        replica = self.replicas[number]
        for client in self.clients:
            if client.replica is replica:
                client.leave(keep=self.chance.random())
        replica.kill()
        self.replicas[number] = self._new_replica()
        self.met["gateways killed"] += 1

    def drain_replica(self) -> None:
        """As a deployment does."""
        number = self.chance.randrange(len(self.replicas))
        replica = self.replicas[number]
        for client in self.clients:
            if client.replica is replica and client.connection is not None:
                replica.sessions.send_away(client.connection, 0)
                client.wire.drain()
                client.leave()
        replica.kill()
        self.replicas[number] = self._new_replica()
        self.met["gateways drained"] += 1

    def for_a_while(self, begin: Callable[[], None], end: Callable[[], None], longest: float) -> None:
        begin()
        self.loop.call_later(self.chance.uniform(0.1, longest), end)

    def database_away(self) -> None:
        database = self.chance.choice((self.signals, self.tier_log))

        def away(value: bool) -> None:
            database.away = value

        self.for_a_while(lambda: away(True), lambda: away(False), 3.0)
        self.met["databases away"] += 1

    def block(self) -> None:
        longest = 4.0
        self.slowest_block += longest
        self.for_a_while(self.broker.block, self.broker.unblock, longest)
        self.met["broker blocked"] += 1

    def lose_queue(self) -> None:
        self.chance.choice(self.replicas).lose_queue()
        self.met["queues lost"] += 1

    def rotate_epoch(self) -> None:
        self.signals.epoch += "+"
        self.met["epochs"] += 1

    def archive(self) -> None:
        self.signals.floor = max(self.signals.floor, self.signals.cursor - 15)
        self.met["archived"] += 1

    # -- clients ----------------------------------------------------------------------------------

    def client_step(self) -> None:
        client = self.chance.choice(self.clients)
        if not client.there:
            self.connect(client)
            return
        kind = self.chance.random()
        if kind < 0.35:
            client.leave(keep=self.chance.choice((0, 0.5, 1)))
            self.met["clients dropped"] += 1
        elif kind < 0.55:
            if client.connection is not None and client.connection.state is not State.CLOSED:
                client.wire.room = self.chance.choice((0, 300, 1500))
        elif kind < 0.8:
            client.wire.drain(self.chance.choice((None, None, 400)))
            client.read()
        else:
            client.read(self.chance.random())

    def connect(self, client: Client) -> None:
        ready = [replica for replica in self.replicas if replica.ready]
        if ready:
            client.connect(self.chance.choice(ready))

    def mind_closed(self) -> None:
        for client in self.clients:
            if client.there and client.wire.closes:
                client.wire.drain()
                client.leave()
                self.met["clients closed"] += 1

    # -- what must hold at any time ---------------------------------------------------------------

    def judge_premium(self, user: str, replica: Replica) -> None:
        """A premium signal is being written to this user by that replica."""
        assert user != "starter", "a premium signal for a starter"
        version = replica.knowledge.versions.get(user, 0)
        tier = self.tier_log.states(version).get(user)
        known = tier.tier if tier is not None else Tier.STARTER
        assert known is not Tier.STARTER, f"{replica.host.name} was told that {user} is a starter (version {version})"
        oldest = self.loop.time() - self.lease - LATEST - self.slowest_block - 2.0
        assert self._entitled_since(user, oldest), f"{user} has been no payer for longer than the lease"

    def _entitled_since(self, user: str, moment: float) -> bool:
        last = [entry for entry in self.tier_log.entries if entry.user_id == user]
        if not last or last[-1].tier is not Tier.STARTER:
            return bool(last)
        return last[-1].committed_at + 4.0 >= moment  # its process's clock may be wrong, and a commit takes a while

    def check_hosts(self) -> None:
        for party in (*self.ingests, self.tiers, *self.replicas):
            party.host.check()

    # -- healing ----------------------------------------------------------------------------------

    async def heal(self) -> None:
        """No more faults: everything must come to agree within a bounded time."""
        self.weather.clear()
        self.broker.unblock()
        self.signals.away = self.tier_log.away = False
        for ingest in self.ingests:
            ingest.host.go_on()
        healed = self.loop.time()
        await self._until(self._caches_agree, healed)
        self.settled_at = self.signals.head
        for number in range(6):
            self.submit(premium=number % 2 == 0)
        await self._until(self._everyone_has_everything, healed)

    async def _until(self, condition: Callable[[], str], healed: float) -> None:
        while problem := self._step(condition):
            assert self.loop.time() < healed + CONVERGE_SECONDS, f"not after {CONVERGE_SECONDS} s: {problem}"
            await asyncio.sleep(0.25)

    def _step(self, condition: Callable[[], str]) -> str:
        self.check_hosts()
        self.mind_closed()
        for client in self.clients:
            if client.there:
                client.wire.drain()
                client.read()
            else:
                self.connect(client)
        return condition()

    def _caches_agree(self) -> str:
        if not all(task.done() for task in (*self.submitted.values(), *self.changes)):
            return "submissions and changes are not stored"
        if self.signals.cursor != self.signals.head or self.tier_log.cursor != self.tier_log.head:
            return f"published up to {self.signals.cursor} of {self.signals.head}"
        truth = self.tier_log.states()
        for replica in self.replicas:
            feed, name = replica.feed, replica.host.name
            if (feed.epoch, feed.head, replica.hub.head) != (self.signals.epoch, *2 * (self.signals.head,)):
                return f"{name} has {feed.epoch} {feed.head} {replica.hub.head}, not {self.signals.epoch} {self.signals.head}"
            for user in replica.sessions.users:
                if replica.tiers.tier_of(user) is not (truth[user].tier if user in truth else Tier.STARTER):
                    return f"{name} does not know what {user} is"
        for client in self.clients:
            connection = client.connection
            if connection is None or connection.state is not State.OPEN or connection.flow is not Flow.LIVE:
                return f"{client.user} is not live: {connection and (connection.state, connection.flow)}"
        return ""

    def _everyone_has_everything(self) -> str:
        problem = self._caches_agree()
        return problem or next((f"{c.user} misses {m}" for c in self.clients if (m := self._missing(c))), "")

    def _missing(self, client: Client) -> list[int]:
        flapper_pays = self.tier_log.states().get("flapper", None)
        after = {
            "starter": float("inf"),
            "payer": 0,
            "flapper": self.settled_at if flapper_pays and flapper_pays.tier is not Tier.STARTER else float("inf"),
        }
        return client.missing(premium_after=after[client.user])

    # -- what must hold at the end ----------------------------------------------------------------

    def check(self) -> None:
        self._check_log()
        self._check_published()
        for signal_id, task in self.submitted.items():
            stored = task.result()
            assert self.signals.by_id[stored.wire_id].signal_id == signal_id, "accepted, and not in the log"
            assert self.signals.by_id[stored.wire_id].seq == stored.seq
        for client in self.clients:
            self.met["told to resync"] += client.told
            self.met["signals read"] += len(client.got)
            self.met["replayed twice"] += sum(count > 1 for count in client.got.values())

    def _check_log(self) -> None:
        chain, standard_chain, standard, stamp = GENESIS, GENESIS, 0, 0.0
        assert len({entry.signal_id for entry in self.signals.entries}) == self.signals.head, "one submission twice"
        for seq, entry in enumerate(self.signals.entries, 1):
            chain = link(chain, entry.body)
            assert (entry.seq, entry.chain) == (seq, chain)
            if entry.standard_seq is not None:
                standard, standard_chain = standard + 1, link(standard_chain, entry.body)
                assert (entry.standard_seq, entry.standard_chain) == (standard, standard_chain)
            before, stamp = stamp, orjson.loads(entry.body)["server_timestamp"]
            assert stamp > before, "server_timestamp does not increase"

    def _check_published(self) -> None:
        for exchange, event in self.broker.published:
            if exchange == SIGNALS_EVENTS and event.type != "beacon":
                entry = self.signals.entries[int(event.headers["seq"]) - 1]
                assert event.body == entry.body, "the same position with another body"
                assert event.headers.get("standard_seq") == entry.standard_seq


def _signal(number: int, *, premium: bool) -> SubmittedSignal:
    content = SignalContent(
        signal_id=f"s{number}",
        symbol="AAPL",
        action="BUY",
        entry_price=float(number),
        stop_loss=None,
        take_profit=None,
        confidence=92.5 if premium else 70.0,
        timestamp="2027-01-15T08:00:00Z",
        reasoning="CANARY" if premium else None,
        strategy=None,
        asset_type=None,
        data_source=None,
        regime=None,
        consensus_agreement=None,
        sources_count=None,
        valid_until=None,
    )
    return SubmittedSignal(content, f"{number:064x}", "")
