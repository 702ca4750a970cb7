"""A rolling upgrade under load: the previous commit and this one side by side, and nothing lost. `make upgrade-test` runs it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.clients import SocketClient
from tests.support.producers import AmqpProducer, premium, standard
from tests.support.services import Service
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory
from tests.support.tcp_proxy import TcpProxy
from tests.upgrade.clients import StayingClient
from tests.upgrade.previous import git, previous_commit, worktree

PACE_SECONDS = 0.02
"""Between two signals: 50 a second, by turns over HTTP and AMQP."""


class Load:
    """Producers and users that notice nothing but reconnects."""

    def __init__(self, stack: Stack, ingest_port: int) -> None:
        self._stack = stack
        self._url = f"http://127.0.0.1:{ingest_port}"
        self.sent: list[dict[str, object]] = []
        self.refused = 0
        self.gateways = list(stack.gateways)
        users = [("upgrade-pro", 0), ("upgrade-pro", 1), ("upgrade-starter", 0), ("upgrade-starter", 1)]
        self.clients = {(user, index): StayingClient(self._connector(user, index)) for user, index in users}

    def _connector(self, user: str, index: int):
        def connect(cursor: str | None):
            gateway = self.gateways[index % len(self.gateways)]
            return SocketClient(
                f"ws://{gateway.url.removeprefix('http://')}/ws/signals", self._stack.token(user), cursor=cursor
            )

        return connect

    async def produce(self) -> None:
        with AmqpProducer(self._stack.amqp_url) as producer:
            while True:
                signal = premium() if len(self.sent) % 3 else standard()
                if len(self.sent) % 2:
                    producer.publish(signal)
                else:
                    await self._until_accepted(signal)
                self.sent.append(signal)
                await asyncio.sleep(PACE_SECONDS)

    async def _until_accepted(self, signal: dict[str, object]) -> None:
        """As a producer must: the same signal again until it is said to be stored."""
        async with httpx.AsyncClient(base_url=self._url, headers={"X-API-Key": self._stack.api_key}) as http:
            while True:
                with suppress(httpx.HTTPError):
                    answer = await http.post("/api/v1/external-signals/sync/signal", json=signal, timeout=10)
                    if answer.status_code in {200, 201}:
                        return
                self.refused += 1
                await asyncio.sleep(PACE_SECONDS)

    async def grown(self, by: int = 100) -> None:
        """Wait until `by` more signals were sent and every user has had some."""
        target = len(self.sent) + by
        before = {user: len(client.signals) for user, client in self.clients.items()}
        await until(
            lambda: (
                len(self.sent) >= target
                and all(len(client.signals) > before[user] for user, client in self.clients.items())
            )
        )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what many parts have a hand in."""
    async with asyncio.timeout(300):
        while not condition():  # noqa: ASYNC110 - a condition over many
            await asyncio.sleep(PACE_SECONDS)


@pytest.fixture(scope="module")
def previous_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    commit = previous_commit()
    if commit is None:
        pytest.skip("not checked: this clone has no commit before HEAD and no tag (a shallow clone, or no git)")
    print(f"previous: {git('log', '-1', '--format=%h %s', commit)}")
    print(f"this:     {git('log', '-1', '--format=%h %s', 'HEAD')}")
    with worktree(commit, tmp_path_factory.mktemp("previous") / "tree") as path:
        yield path


@asynccontextmanager
async def running(load: Load):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.run()) for client in load.clients.values()]
        producing = group.create_task(load.produce())
        try:
            yield producing
        finally:
            for task in (*tasks, producing):
                task.cancel()


def successor(old: Service, directory: Path, number: int, **changes: str) -> Service:
    """This version's replica beside the old one, on ports of its own."""
    environment = {name: value for name, value in old.environment.items() if name != "PYTHONPATH"} | changes
    return Service(old.kind, environment, directory / f"new-{old.kind}-{number}.log")


@pytest.mark.timeout(900)
async def test_an_upgrade_under_load_loses_nothing(
    make_stack: StackFactory, previous_path: str, tmp_path: Path
) -> None:
    stack = make_stack(
        gateways=2,
        database="postgresql",
        settings={"PYTHONPATH": previous_path, "GATEWAY_DRAIN_SECONDS": "3"},
        start=False,
    )
    async with AsyncExitStack() as ends:
        ingest = await ends.enter_async_context(TcpProxy(stack.ingest.port))
        tiers = await ends.enter_async_context(TcpProxy(stack.tiers.port))
        addresses = {"INGEST_URL": f"http://127.0.0.1:{ingest.port}", "TIERS_URL": f"http://127.0.0.1:{tiers.port}"}
        for gateway in stack.gateways:
            gateway.environment |= addresses
        await asyncio.to_thread(lambda: [each.command("migrate") for each in (stack.ingest, stack.tiers)])
        for service in stack.services:
            service.spawn()
        for service in stack.services:
            await service.ready(120)
        await stack.set_tier("upgrade-pro", "pro")

        load = Load(stack, ingest.port)
        old_gateways = list(stack.gateways)
        async with running(load) as producing:
            await load.grown()
            new = {each.kind: successor(each, tmp_path, 0, **addresses) for each in (stack.ingest, stack.tiers)}
            for owner in new.values():
                ends.callback(owner.stop)
                await asyncio.to_thread(owner.command, "migrate")  # under the running previous version
            await load.grown()
            for kind, proxy, old in (("ingest", ingest, stack.ingest), ("tiers", tiers, stack.tiers)):
                new[kind].spawn()
                await new[kind].ready(120)
                await load.grown()  # both versions on one database
                proxy.target_port = new[kind].port
                old.terminate()
                assert await old.ended(60) == 0
                await load.grown()  # the new owner, the old gateways
            for number, old in enumerate(old_gateways):
                gateway = successor(old, tmp_path, number)
                ends.callback(gateway.stop)
                gateway.spawn()
                await gateway.ready(120)
                load.gateways[number] = gateway
                old.terminate()
                assert await old.ended(60) == 0
                await load.grown()
            producing.cancel()
            expected = {"upgrade-pro": len(load.sent), "upgrade-starter": standards(load.sent)}
            await until(lambda: all(len(each.signals) >= expected[user] for (user, _), each in load.clients.items()))
        report(load)
        for (user, _), client in load.clients.items():
            assert client.seqs == list(range(1, expected[user] + 1))
            assert client.connections > 1
            assert client.resyncs == 0
        hashes = {signal["sha256"] for signal in load.sent}
        assert {frame["data"]["hash"] for frame in load.clients["upgrade-pro", 0].signals} == hashes
        assert f"{len(load.sent)} signals" in await asyncio.to_thread(new["ingest"].command, "ledger", "verify")


def standards(sent: list[dict[str, object]]) -> int:
    return sum(float(str(signal["confidence"])) < 85 for signal in sent)


def report(load: Load) -> None:
    clients = {
        f"{user} {index}": {"signals": len(each.signals), "connections": each.connections, "resyncs": each.resyncs}
        for (user, index), each in load.clients.items()
    }
    print(json.dumps({"sent": len(load.sent), "repeated over HTTP": load.refused, "clients": clients}, indent=2))
