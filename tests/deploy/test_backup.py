"""Backup, restore and retention of both logs, step by step as docs/operations.md has them."""

import json
from pathlib import Path

import pytest

from tests.deploy.databases import back_up, restore
from tests.support.producers import premium, standard
from tests.support.services import ServiceFailed
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

BOTH = pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])


@BOTH
async def test_a_restored_signal_log_begins_an_epoch_that_everyone_notices(
    make_stack: StackFactory, tmp_path: Path, dialect: str
) -> None:
    stack, backup = make_stack(database=dialect), tmp_path / "ingest.backup"
    await stack.set_tier("reader", "pro")
    saved, lost, after = [premium() for _ in range(5)], [standard() for _ in range(3)], [premium() for _ in range(2)]
    async with stack.client("reader") as client:
        await client.first("connected")
        await stack.publish_all(saved)
        back_up(stack.ingest_database, backup)  # while it is written to
        await stack.publish_all(lost)
        cursor = (await client.signals_received(8))[-1]["cursor"]

        stack.ingest.stop()
        restore(stack.ingest_database, backup)
        assert "5 signals" in stack.ingest.command("ledger", "verify")
        assert "begins" in stack.ingest.command("epoch", "rotate")
        stack.ingest.start()

        await client.first("resync_required", within=60)
        assert [(await stack.publish(signal)).status_code for signal in saved] == [200] * 5  # nothing is stored twice
        assert [(await stack.publish(signal)).status_code for signal in [*lost, *after]] == [201] * 5
        await client.signals_received(13, within=60)
        assert [data["hash"] for data in client.data[8:]] == [signal["sha256"] for signal in [*lost, *after]]
    async with stack.client("reader", cursor=cursor) as returning:
        assert (await returning.first("connected"))["recovered"] is False
    assert "10 signals" in stack.ingest.command("ledger", "verify")


@BOTH
async def test_a_restored_tier_log_is_what_gateways_go_by(
    make_stack: StackFactory, tmp_path: Path, dialect: str
) -> None:
    stack, backup = make_stack(database=dialect), tmp_path / "tiers.backup"
    await stack.set_tier("payer", "pro")
    async with stack.client("payer") as client:
        assert (await client.first("connected"))["user_tier"] == "pro"
        back_up(stack.tiers_database, backup)
        await stack.set_tier("payer", "elite")
        await client.first("tier_changed")

        stack.tiers.stop()
        restore(stack.tiers_database, backup)
        assert "begins" in stack.tiers.command("epoch", "rotate")
        stack.tiers.start()

        await client.until(lambda _: client.of("tier_changed")[-1]["user_tier"] == "pro", within=60)
        await stack.set_tier("payer", "starter")  # takes the version that the lost change had
        await client.until(lambda _: client.of("tier_changed")[-1]["user_tier"] == "starter", within=60)


@BOTH
async def test_retention_moves_old_signals_to_a_file_and_the_chain_goes_on(
    make_stack: StackFactory, tmp_path: Path, dialect: str
) -> None:
    stack, archive = make_stack(database=dialect), tmp_path / "signals-1-6.jsonl"
    old, kept = [premium(), standard()] * 1 + [premium() for _ in range(4)], [standard() for _ in range(4)]
    await stack.set_tier("reader", "pro")
    async with stack.client("reader") as client:
        await client.first("connected")
        await stack.publish_all([*old, *kept])
        await client.signals_received(10)
        with pytest.raises(ServiceFailed, match="published"):
            stack.ingest.command("ledger", "archive", "--before", "99", "--out", str(archive))
        await archived(stack, archive, before=7)
        lines = [json.loads(line) for line in archive.read_text().splitlines()]
        assert [line["seq"] for line in lines] == list(range(7))  # the first is the checkpoint it goes on from
        assert "4 signals" in stack.ingest.command("ledger", "verify")
        assert (await stack.publish(old[0])).status_code == 200  # its name stays
        assert (await stack.publish(premium())).status_code == 201
        await client.signals_received(11)
        assert client.close_code is None

    backup = tmp_path / "after.backup"
    stack.ingest.stop()
    back_up(stack.ingest_database, backup)
    restore(stack.ingest_database, backup)  # the checkpoint comes back with it
    assert "5 signals" in stack.ingest.command("ledger", "verify")


async def archived(stack: Stack, out: Path, *, before: int) -> None:
    """The publisher's cursor follows what it has published by up to 100 ms: asked again until it has."""
    for _ in range(100):
        try:
            stack.ingest.command("ledger", "archive", "--before", str(before), "--out", str(out))
        except ServiceFailed as error:
            if "are published" not in str(error):
                raise
        else:
            return
    raise AssertionError("not published")
