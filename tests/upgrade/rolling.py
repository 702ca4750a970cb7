"""A rolling upgrade under load, and back: another commit and this one side by side, nothing lost. `make upgrade-test` runs it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.services import SCRIPTS, Service
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory
from tests.support.tcp_proxy import TcpProxy
from tests.upgrade.load import Load
from tests.upgrade.previous import git, installed, previous_commit


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The console scripts of the previous version."""
    commit = previous_commit()
    if commit is None:
        pytest.skip("not checked: this clone has no commit before HEAD and no tag (a shallow clone, or no git)")
    print(f"previous: {git('log', '-1', '--format=%h %s', commit)}")
    print(f"this:     {git('log', '-1', '--format=%h %s', 'HEAD')}")
    with installed(commit, tmp_path_factory.mktemp("previous")) as scripts:
        yield scripts


class Rollout:
    """Replaces replicas one at a time, each only when its successor is ready, as a rollout with `maxUnavailable: 0` does."""

    def __init__(self, stack: Stack, load: Load, proxies: dict[str, TcpProxy]) -> None:
        self._load = load
        self._proxies = proxies
        self.owners = {"ingest": stack.ingest, "tiers": stack.tiers}

    async def owner(self, new: Service) -> None:
        """Put `new` in the place of the owner of its kind."""
        old = self.owners[new.kind]

        def switch() -> None:
            self.owners[new.kind] = new
            self._proxies[new.kind].target_port = new.port

        await self._replace(old, new, switch)

    async def gateway(self, number: int, new: Service) -> None:
        """Put `new` in the place of a gateway."""

        def switch() -> None:
            self._load.gateways[number] = new

        await self._replace(self._load.gateways[number], new, switch)

    async def _replace(self, old: Service, new: Service, switch: Callable[[], None]) -> None:
        new.spawn()
        await new.ready(120)
        await self._load.grown()  # both versions side by side
        switch()
        old.terminate()
        assert await old.ended(60) == 0
        await self._load.grown()  # the new one alone


@pytest.mark.timeout(900)
async def test_an_upgrade_under_load_and_the_way_back_lose_nothing(
    make_stack: StackFactory, previous: Path, tmp_path: Path
) -> None:
    stack = make_stack(gateways=2, database="postgresql", settings={"GATEWAY_DRAIN_SECONDS": "3"}, start=False)
    for service in stack.services:
        service.scripts = previous
    async with AsyncExitStack() as ends:
        proxies = {
            each.kind: await ends.enter_async_context(TcpProxy(each.port)) for each in (stack.ingest, stack.tiers)
        }
        for gateway in stack.gateways:
            gateway.environment |= {
                f"{kind.upper()}_URL": f"http://127.0.0.1:{proxy.port}" for kind, proxy in proxies.items()
            }
        await asyncio.to_thread(stack.start)
        await stack.set_tier("upgrade-pro", "pro")

        def another(like: Service, name: str, scripts: Path) -> Service:
            made = Service(like.kind, like.environment, tmp_path / f"{name}.log")  # on ports of its own
            made.scripts = scripts
            ends.callback(made.stop)
            return made

        load = Load(stack, proxies["ingest"].port)
        rollout = Rollout(stack, load, proxies)
        async with load.running():
            await load.grown()
            this = [another(old, f"new-{old.kind}", SCRIPTS) for old in rollout.owners.values()]
            for owner in this:
                await asyncio.to_thread(owner.command, "migrate")
            await load.grown()  # the previous version on this version's databases
            for owner in this:
                await rollout.owner(owner)
            for number, old in enumerate(stack.gateways):
                await rollout.gateway(number, another(old, f"new-gateway-{number}", SCRIPTS))
            for number, old in enumerate(stack.gateways):  # and back, without a downgrade of the databases
                await rollout.gateway(number, another(old, f"back-gateway-{number}", previous))
            for owner in (stack.tiers, stack.ingest):
                await rollout.owner(another(owner, f"back-{owner.kind}", previous))
        print(json.dumps(load.summary(), indent=2))
        for (user, _), client in load.clients.items():
            assert client.seqs == list(range(1, load.owed(user) + 1))
            assert client.connections > 2
            assert client.resyncs == 0
        hashes = {signal["sha256"] for signal in load.sent}
        assert {frame["data"]["hash"] for frame in load.clients["upgrade-pro", 0].signals} == hashes
        assert f"{len(load.sent)} signals" in await asyncio.to_thread(this[0].command, "ledger", "verify")
