"""Producers, their keys and their limits."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from typer.testing import CliRunner, Result

from tests.support.dead_letters import take_dead_letter
from tests.support.ingest import KEYS, SYNC, HttpIngest, http_ingest, inbound_ingest
from tests.support.producers import AmqpProducer, publish_fast, standard
from tests.support.rabbitmq import VirtualHost
from tiercast_ingest.domain.producer_keys import digest_of
from tiercast_ingest.main import main
from tiercast_ingest.producer_directory import ProducerDirectory
from tiercast_ingest.producer_store import ProducerConflict, ProducerStore
from tiercast_shared.eventlog.database import Database

Run = Callable[..., Result]


@pytest.fixture
async def ingest(database: Database) -> AsyncIterator[HttpIngest]:
    async with http_ingest(database) as ingest:
        yield ingest


@pytest.fixture
def producers(database: Database) -> ProducerStore:
    ticks = iter(range(1, 1000))
    return ProducerStore(database, clock=lambda: float(next(ticks)))


@pytest.fixture
def run(database_url: str) -> Run:
    """Run one command on a fresh, migrated database."""
    runner = CliRunner()

    def invoke(*arguments: str) -> Result:
        return runner.invoke(main, arguments, env={"INGEST_DATABASE_URL": database_url})

    assert invoke("migrate").exit_code == 0
    return invoke


async def owners(producers: ProducerStore, *keys: str | None) -> list[str | None]:
    directory = ProducerDirectory(producers)
    await directory.look()
    return [directory.owner(key or "") for key in keys]


async def rows(database: Database, table: str) -> str:
    async with database.reading() as session:
        return str((await session.exec(text(f"SELECT * FROM {table}"))).all())


async def test_a_key_names_its_producer_and_is_not_in_the_database(producers: ProducerStore, database: Database):
    key = await producers.add("acme")
    assert key is not None
    assert await owners(producers, key, key[:-1], key + " ", digest_of(key).hex()) == ["acme", None, None, None]
    assert key not in await rows(database, "producers") + await rows(database, "producer_keys")
    with pytest.raises(ProducerConflict, match="acme already"):
        await producers.add("acme")


async def test_two_keys_are_live_while_a_producer_changes_over(producers: ProducerStore):
    first = await producers.add("acme")
    second = await producers.rotate("acme")
    assert await owners(producers, first, second) == ["acme", "acme"]
    third = await producers.rotate("acme")
    assert await owners(producers, first, second, third) == [None, "acme", "acme"]
    fourth = await producers.rotate("acme", revoke_others=True)
    assert await owners(producers, second, third, fourth) == [None, None, "acme"]


async def test_two_rotations_at_once_leave_two_live_keys(producers: ProducerStore):
    first = await producers.add("acme")
    new = await asyncio.gather(*(producers.rotate("acme") for _ in range(4)))
    live = [key for key in await owners(producers, first, *new) if key is not None]
    assert len(live) == 2


async def test_keys_of_the_environment_are_stored_once_and_never_come_back(
    producers: ProducerStore, database: Database
):
    seeds = {"acme": SecretStr("a" * 20), "other": SecretStr("b" * 20)}
    await producers.seed(seeds)
    before = await rows(database, "producer_keys")
    await producers.seed(seeds)
    assert await rows(database, "producer_keys") == before
    await producers.rotate("acme", revoke_others=True)
    await producers.set_disabled("other", disabled=True)
    await producers.seed(seeds)
    assert await owners(producers, "a" * 20, "b" * 20) == [None, "other"]
    assert (await producers.directory()).disabled == {"other"}


async def test_another_key_in_the_environment_is_a_rotation(producers: ProducerStore):
    for letter in "abc":
        await producers.seed({"acme": SecretStr(letter * 20)})
    assert await owners(producers, "a" * 20, "b" * 20, "c" * 20) == [None, "acme", "acme"]


async def test_replicas_that_begin_at_once_store_the_same_keys(database: Database):
    seeds = {f"producer-{number}": SecretStr(f"key-of-producer-{number}") for number in range(20)}
    directories = [ProducerDirectory(ProducerStore(database)) for _ in range(3)]
    await asyncio.gather(*(directory.begin(seeds) for directory in directories))
    for directory in directories:
        assert [directory.owner(key.get_secret_value()) for key in seeds.values()] == list(seeds)


async def test_a_key_cannot_pass_to_another_producer(producers: ProducerStore):
    await producers.seed({"acme": SecretStr("a" * 20)})
    with pytest.raises(ProducerConflict, match="the key of new is the key of acme already"):
        await producers.seed({"new": SecretStr("a" * 20)})


async def test_a_disabled_producer_is_forbidden_and_an_enabled_one_taken_again(ingest: HttpIngest, database: Database):
    producers = ProducerStore(database)
    for disabled, status in [(True, 403), (False, 201)]:
        await producers.set_disabled("acme", disabled=disabled)
        await ingest.producers.look()
        for path in ("/signal", "/signals"):
            answer = await ingest.post(standard() if path == "/signal" else [standard()], path)
            assert answer.status_code == (status if path == "/signal" or disabled else 200)
            assert not disabled or answer.json()["code"] == "producer_disabled"
    assert (await ingest.store.head()).seq == 2
    assert ingest.metric("signals_rejected_total", transport="http", reason="producer_disabled") == 2


async def test_a_change_is_noticed_without_being_asked_for(database: Database):
    producers = ProducerStore(database)
    directory = ProducerDirectory(producers)
    await directory.begin({})
    watching = asyncio.create_task(directory.run())
    try:
        key = await producers.add("acme")
        assert key is not None
        async with asyncio.timeout(30):
            while directory.owner(key) is None:  # noqa: ASYNC110 - it looks in its own time
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()


async def test_keys_are_checked_without_a_query(sqlite_database: Database):
    async with http_ingest(sqlite_database) as ingest:
        async with sqlite_database.writing() as session:
            await session.exec(text("DROP TABLE producer_keys"))
        assert (await ingest.post(standard())).status_code == 201
        assert (await ingest.post(standard(), key="wrong")).status_code == 401


async def test_a_database_that_is_away_makes_nobody_unknown(sqlite_database: Database):
    async with http_ingest(sqlite_database) as ingest:
        async with sqlite_database.writing() as session:
            await session.exec(text("DROP TABLE producer_keys"))
        watching = asyncio.create_task(ingest.producers.run())
        await asyncio.sleep(0)
        assert (await ingest.post(standard())).status_code == 201
        watching.cancel()


async def test_above_its_limit_a_producer_is_told_when_to_come_back(sqlite_database: Database):
    async with http_ingest(sqlite_database, producer_limit=5) as ingest:
        answers = await asyncio.gather(*(ingest.post(standard()) for _ in range(60)))
        statuses = {answer.status_code for answer in answers}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert statuses == {201, 429}
        assert refused.json()["code"] == "too_many_requests"
        assert int(refused.headers["retry-after"]) == 1
        stored = sum(answer.status_code == 201 for answer in answers)
        assert (await ingest.store.head()).seq == stored


async def test_of_a_batch_above_the_limit_the_rest_is_to_be_sent_again(sqlite_database: Database):
    async with http_ingest(sqlite_database, producer_limit=5) as ingest:
        sent = [standard() for _ in range(100)]
        answer = (await ingest.post(sent, "/signals")).json()
        refused = [item for item in answer["results"] if item["status"] == "unavailable"]
        assert refused
        assert {(item["http_status"], item["code"]) for item in refused} == {(429, "too_many_requests")}
        assert answer["accepted"] == 100 - len(refused) == (await ingest.store.head()).seq
        assert answer["accepted"] >= 5


async def test_over_amqp_messages_above_the_limit_wait_and_all_are_stored(database: Database, amqp_url: str):
    async with inbound_ingest(database, amqp_url, prefetch=40, producer_limit=40) as ingest:
        sent = [standard() for _ in range(120)]
        await publish_fast(amqp_url, sent, producer="greedy")
        await ingest.stored(120, within=60)
        _, entries = await ingest.store.entries_after(0, 200)
        assert [entry.signal_id for entry in entries] == [each["signal_id"] for each in sent]
        assert ingest.metric("messages_dead_lettered_total", reason="producer_disabled") == 0


async def test_over_amqp_others_overtake_a_producer_above_its_limit(sqlite_database: Database, amqp_url: str):
    async with inbound_ingest(sqlite_database, amqp_url, producer_limit=50) as ingest:
        await publish_fast(amqp_url, [standard() for _ in range(200)], producer="greedy")
        await publish_fast(amqp_url, [standard()], producer="modest")
        await ingest.stored(201, within=60)
        _, entries = await ingest.store.entries_after(0, 300)
        assert [entry.producer for entry in entries].index("modest") < 200


async def test_over_amqp_a_disabled_producer_is_dead_lettered(database: Database, virtual_host: VirtualHost):
    producers = ProducerStore(database)
    await producers.add("banned", with_key=False)
    await producers.set_disabled("banned", disabled=True)
    url = virtual_host.url
    async with inbound_ingest(database, url) as ingest:
        with AmqpProducer(virtual_host.url_for("banned")) as banned, AmqpProducer(url) as trusted:
            banned.publish(standard(signal_id="own"), producer=None)
            trusted.publish(standard(signal_id="named"), producer="banned")
            trusted.publish(standard(), producer="acme")
        for message_id in ("own", "named"):
            letter = await take_dead_letter(url, message_id, within=30)
            assert letter.headers["x-reason"] == "producer_disabled"
            assert "banned is disabled" in str(letter.headers["x-error"])
        await ingest.stored(1)
        _, entries = await ingest.store.entries_after(0, 10)
        assert [entry.producer for entry in entries] == ["acme"]


def test_commands_make_rotate_disable_and_list(run: Run):
    added = run("producers", "add", "acme", "--limit", "50")
    first = added.stdout.strip()
    assert (added.exit_code, first[:4], len(first)) == (0, "tck_", 47)
    second = run("producers", "rotate", "acme").stdout.strip()
    assert second not in {"", first}
    assert run("producers", "add", "feed", "--no-key").stdout == "producer feed added, without a key\n"
    assert run("producers", "disable", "feed").stdout == "producer feed disabled\n"
    listed = run("producers", "list").stdout
    assert first not in listed
    assert second not in listed
    acme, feed = (next(line for line in listed.splitlines() if name in line) for name in ("acme", "feed"))
    assert "active" in acme
    assert "50" in acme
    assert acme.count("made") == 2
    assert "disabled" in feed
    assert "none" in feed
    assert run("producers", "enable", "feed").exit_code == 0
    assert "disabled" not in run("producers", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("rotate", "nobody"), 78, "there is no producer nobody"),
        (("disable", "nobody"), 78, "there is no producer nobody"),
        (("add", "x" * 256), 2, "1 to 255"),
        (("add", "a\nb"), 2, "printable"),
        (("add", "acme", "--limit", "0"), 2, "limit"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: tuple[str, ...], status: int, says: str):
    result = run("producers", *arguments)
    assert result.exit_code == status
    assert says in result.output


async def test_a_new_key_of_a_command_is_taken_over_http(run: Run, database_url: str):
    key = (await asyncio.to_thread(run, "producers", "add", "new")).stdout.strip()
    async with Database.open(database_url) as database, http_ingest(database) as ingest:
        answer = await ingest.client.post(f"{SYNC}/signal", content=json.dumps(standard()), headers={"X-API-Key": key})
        assert answer.status_code == 201
        assert (await ingest.post(standard(), key=KEYS["acme"])).status_code == 201
        _, entries = await ingest.store.entries_after(0, 10)
        assert [entry.producer for entry in entries] == ["new", "acme"]
