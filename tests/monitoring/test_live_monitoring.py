"""Prometheus on a running system under load: every panel shows something, and an alert says what is broken."""

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import yaml
from websockets.exceptions import InvalidHandshake

from tests.support.backends import Backends
from tests.support.producers import premium, signed, standard
from tests.support.prometheus import MONITORING, RULES, Prometheus
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

RUNBOOK_TEXT = (MONITORING.parents[1] / "docs" / "runbook.md").read_text()
PANELS = {
    f"{path.stem}: {panel['title']}: {target['refId']}": target["expr"]
    for path in sorted((MONITORING / "dashboards").glob("*.json"))
    for panel in json.loads(path.read_text())["panels"]
    for target in panel.get("targets", ())
}
VARIABLES = {"$__rate_interval": "20s", "$__range": "1m", "$job": ".+"}
"""What Grafana puts in; intervals as for the scrapes of this test, one a second."""

RUNBOOK = [
    line
    for block in re.findall(r"^```promql\n(.*?)^```", RUNBOOK_TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]

pytestmark = pytest.mark.timeout(240)
"""A broker, a stack and Prometheus begin with the first of these tests."""

OWN_NAME = re.compile(r"\b(?:tiercast|process|python)_[a-z_]+")


def as_grafana_asks(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody defines: {expression}"
    return expression


def impatient(rules: dict[str, Any]) -> dict[str, Any]:
    """The rules with nothing to wait for but the condition itself."""
    hasty = copy.deepcopy(rules)
    for group in hasty["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    return hasty


@pytest.fixture(scope="module")
def system(
    request: pytest.FixtureRequest, backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with StackFactory(backends, request.node, tmp_path_factory.mktemp("system")) as factory:
        yield factory(gateways=2)


@pytest.fixture(scope="module")
def prometheus(system: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    rules = impatient(yaml.safe_load(RULES.read_text()))
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), system.services, rules)
    yield server
    server.stop()


@asynccontextmanager
async def load(system: Stack) -> AsyncIterator[None]:
    """Clients of all tiers on both gateways, and producers and callers of whom some err, until the block ends."""
    clients = [
        system.client(f"{tier}-user", gateway=gateway) for tier in ("starter", "pro", "elite") for gateway in (0, 1)
    ]
    for tier in ("pro", "elite"):
        await system.set_tier(f"{tier}-user", tier)
    for client in clients:
        await client.__aenter__()
    traffic = asyncio.create_task(_traffic(system))
    try:
        yield
    finally:
        traffic.cancel()
        with suppress(asyncio.CancelledError):
            await traffic  # what went wrong in it fails the test
        for client in clients:
            await client.__aexit__(None, None, None)


async def _traffic(system: Stack) -> None:
    tiers = ("pro", "elite")
    turn = 0
    while True:
        turn += 1
        repeated = premium()
        for submission in (standard(), repeated, repeated, signed({**repeated, "action": "SELL"})):
            await system.publish(submission)
        await system.publish_over_amqp([premium(), standard(), {**standard(), "sha256": "0" * 64}])
        await system.set_tier("elite-user", tiers[turn % 2])
        async with system.gateway_http("pro-user") as http:
            await http.get("/api/v1/signals/latest")
            await http.get("/api/v1/signals/latest", headers={"Authorization": "Bearer x"})
            await http.get("/no/such/path")
        with suppress(InvalidHandshake):
            async with system.client("nobody", token="rubbish") as refused:
                await refused.closed()
        with suppress(InvalidHandshake):
            async with system.client("nobody", origin="https://elsewhere.test"):
                pass
        async with system.client(f"passer-by-{turn}") as passing:
            await passing.first("connected")
        await asyncio.sleep(0.2)


async def test_every_query_of_every_panel_finds_something_under_load(system: Stack, prometheus: Prometheus):
    empty = {name: as_grafana_asks(expression) for name, expression in PANELS.items()}

    def all_found() -> bool:
        for name in [name for name, expression in empty.items() if prometheus.query(expression)]:
            del empty[name]
        return not empty

    async with load(system):
        try:
            await asyncio.to_thread(prometheus.until, all_found, 120)
        except AssertionError as error:
            raise AssertionError(f"empty: {json.dumps(empty, indent=2)}\n{error}") from error


def test_every_metric_that_a_rule_or_panel_names_is_there(prometheus: Prometheus):
    known = prometheus.until(prometheus.names)
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    named = {name for expression in [*rules, *PANELS.values()] for name in OWN_NAME.findall(expression)}
    assert len(named) > 30
    assert named - known - {"tiercast_"} == set()


@pytest.mark.parametrize("expression", RUNBOOK)
def test_every_query_of_the_runbook_is_understood_and_names_what_is_there(prometheus: Prometheus, expression: str):
    prometheus.query(expression)
    named = set(OWN_NAME.findall(expression)) | set(re.findall(r"\bup\b", expression))
    assert named, expression
    assert named - prometheus.until(prometheus.names) == set()


async def test_a_frozen_ingest_is_told_by_alerts_that_end_when_it_goes_on(system: Stack, prometheus: Prometheus):
    await asyncio.to_thread(prometheus.until, lambda: prometheus.value("sum(up)") == len(system.services))
    wanted = {"SignalFeedStale", "TargetDown"}

    def firing() -> set[str]:
        return {name for name, alert in prometheus.alerts().items() if alert["state"] == "firing"}

    assert wanted & firing() == set()
    system.ingest.pause()
    try:
        await asyncio.to_thread(prometheus.until, lambda: wanted <= firing())
        for name in wanted:
            said = prometheus.alerts()[name]["annotations"]
            assert said["runbook_url"] == f"docs/runbook.md#{name.lower()}"
            assert "error expanding" not in said["summary"] + said["description"], said
            assert "{{" not in said["summary"]
    finally:
        system.ingest.resume()
    await asyncio.to_thread(prometheus.until, lambda: not wanted & firing())
