"""Ingest as operators run it: its own process, from start to stop."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.support.http import async_http
from tests.support.ingest import KEYS, SERVICE_KEY, SYNC
from tests.support.producers import AmqpProducer, premium, publish_fast, standard, submission
from tests.support.services import SCRIPTS, Service
from tiercast_ingest import ledger
from tiercast_ingest.main import main
from tiercast_ingest.store import SignalStore
from tiercast_local.ports import free_port
from tiercast_shared.eventlog.database import Database
from tiercast_shared.settings import EX_CONFIG


def environment(url: str, amqp_url: str) -> dict[str, str]:
    return {
        "INGEST_DATABASE_URL": url,
        "INGEST_AMQP_URL": amqp_url,
        "SERVICE_KEY": SERVICE_KEY,
        "INGEST_API_KEYS": json.dumps(KEYS),
        "INGEST_TRUSTED_PUBLISHERS": httpx.URL(amqp_url).username,
    }


@contextmanager
def serving(url: str, amqp_url: str, directory: Path) -> Iterator[Service]:
    service = Service("ingest", environment(url, amqp_url), directory / "ingest.log")
    assert invoke(service.environment, "migrate").startswith("the database is at revision ")
    service.start()
    try:
        yield service
    finally:
        service.stop()


def invoke(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command in this process, which spares the start of another."""
    result = CliRunner().invoke(main, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def service(sqlite_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Service]:
    with serving(sqlite_url, amqp_url, tmp_path) as service:
        yield service


@pytest.fixture
def service_on_either(database_url: str, amqp_url: str, tmp_path: Path) -> Iterator[Service]:
    with serving(database_url, amqp_url, tmp_path) as service:
        yield service


async def head(service: Service) -> int:
    async with async_http(base_url=service.url, headers={"X-Service-Key": SERVICE_KEY}) as client:
        answer = await client.get("/api/v1/log?limit=1")
    return int(answer.json()["head"])


async def metric(service: Service, name: str) -> float:
    async with async_http() as client:
        lines = (await client.get(service.metrics_url)).text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


async def test_ten_thousand_messages_become_ten_thousand_rows_and_are_published(
    service_on_either: Service, database_url: str, amqp_url: str
):
    service = service_on_either
    count = 10_000
    sent = [submission(confidence=60.0 + number % 40) for number in range(count)]
    await publish_fast(amqp_url, sent, producer="acme")
    async with asyncio.timeout(100):
        # only the service knows
        while await metric(service, 'tiercast_log_published_entries_total{log="signals"}') < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.to_thread(service.stop)
    async with Database.open(database_url) as database:
        store = SignalStore(database)
        verdict = await ledger.verify(store)
        publication = await store.publication()
    assert (verdict.entries, verdict.broken_at) == (count, None)
    assert verdict.standard_entries == sum(float(str(each["confidence"])) < 85 for each in sent)
    assert (publication.published, publication.holder) == (count, None)


async def test_an_orderly_stop_leaves_nothing_unpublished_and_exits_with_0(
    service: Service, sqlite_url: str, amqp_url: str
):
    async with async_http(base_url=service.url, headers={"X-API-Key": KEYS["acme"]}) as client:
        answers = await asyncio.gather(*(client.post(f"{SYNC}/signal", json=standard()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    with AmqpProducer(amqp_url) as producer:
        producer.publish(premium())
    async with asyncio.timeout(20):
        while await head(service) < 21:  # noqa: ASYNC110 - only the service knows
            await asyncio.sleep(0.02)
    service.terminate()
    assert await service.ended() == 0
    async with Database.open(sqlite_url) as database:
        publication = await SignalStore(database).publication()
    assert (publication.head, publication.published, publication.holder) == (21, 21, None)


async def test_a_signal_can_be_followed_through_the_log_lines(service: Service):
    sent = standard(symbol="TSLA")
    async with async_http(base_url=service.url, headers={"X-API-Key": KEYS["acme"]}) as client:
        await client.post(f"{SYNC}/signal", json=sent, headers={"X-Request-ID": "follow-me"})
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "signal accepted"]
    told = {name: line[name] for name in ("seq", "producer", "signal_id", "symbol", "correlation_id", "service")}
    assert told == {
        "seq": 1,
        "producer": "acme",
        "signal_id": sent["signal_id"],
        "symbol": "TSLA",
        "correlation_id": "follow-me",
        "service": "ingest",
    }
    assert line["ms"] >= 0


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPTS / "tiercast-ingest"), *arguments],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_serving_without_tables_says_which_command_to_run(sqlite_url: str, amqp_url: str):
    ended = run(environment(sqlite_url, amqp_url), "serve")
    assert ended.returncode == EX_CONFIG
    assert "run `tiercast-ingest migrate`" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_dead_letters_are_handled_from_the_command_line(service: Service, amqp_url: str):
    with AmqpProducer(amqp_url) as producer:
        producer.publish(b"{nope", message_id="the-bad-one")
    listed = ""
    while "the-bad-one" not in listed:
        listed = invoke(service.environment, "dead", "list")
    assert listed.startswith("1  invalid_json  demo  ")
    assert invoke(service.environment, "dead", "list", "--reason", "conflict") == ""
    shown = invoke(service.environment, "dead", "show", "1")
    assert "message_id: the-bad-one" in shown
    assert shown.endswith("\n{nope\n")
    assert invoke(service.environment, "dead", "replay", "1") == "1 replayed\n"
    while not invoke(service.environment, "dead", "list"):
        pass  # it is as bad as before, and comes back
    assert invoke(service.environment, "dead", "drop", "--all") == "1 dropped\n"
    assert invoke(service.environment, "dead", "list") == ""


def test_the_ledger_is_verified_and_the_epoch_rotated_from_the_command_line(sqlite_url: str):
    database = {"INGEST_DATABASE_URL": sqlite_url}
    invoke(database, "migrate")
    assert invoke(database, "ledger", "verify") == "ok: 0 signals, 0 of them in the standard feed\n"
    first, second = invoke(database, "epoch", "rotate").split(), invoke(database, "epoch", "rotate").split()
    assert (first[1], first[3]) != (second[1], second[3])
    assert second[1] == first[3]


@pytest.mark.parametrize(
    "arguments", [("dead", "drop"), ("dead", "replay"), ("dead", "show", "1"), ("dead", "show", "0")]
)
def test_a_command_that_does_not_say_what_is_refused(amqp_url: str, arguments: tuple[str, ...]):
    result = CliRunner().invoke(main, arguments, env={"INGEST_AMQP_URL": amqp_url})
    assert result.exit_code == 2
    assert "Error: Invalid value" in result.output


def test_a_broker_that_is_away_is_told_in_one_line():
    away = {"INGEST_AMQP_URL": f"amqp://127.0.0.1:{free_port()}/"}
    result = CliRunner().invoke(main, ["dead", "list"], env=away)
    assert result.exit_code == 69
    assert result.stderr.startswith("tiercast-ingest: the broker: ")
    assert len(result.stderr.splitlines()) == 1
