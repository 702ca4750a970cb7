"""Backup, restore and retention of both logs, step by step as docs/operations.md has them."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.deploy.databases import back_up, restore
from tests.support.producers import premium, standard
from tests.support.services import Service, ServiceFailed
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

WITHIN = 60  # seconds


@pytest.mark.timeout(400)
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_restored_logs_begin_epochs_that_everyone_goes_by_and_old_signals_move_to_a_file(
    make_stack: StackFactory, tmp_path: Path, dialect: str
) -> None:
    stack = make_stack(database=dialect)
    saved, lost, after = [premium() for _ in range(5)], [standard() for _ in range(3)], [premium() for _ in range(2)]
    await stack.set_tier("reader", "pro")
    async with stack.client("reader") as client:
        await client.first("connected")
        await stack.publish_all(saved)
        await asyncio.gather(  # while they are in use
            asyncio.to_thread(back_up, stack.ingest_database, tmp_path / "ingest.backup"),
            asyncio.to_thread(back_up, stack.tiers_database, tmp_path / "tiers.backup"),
        )
        await stack.publish_all(lost)
        cursor = (await client.signals_received(8, WITHIN))[-1]["cursor"]
        await stack.set_tier("reader", "elite")
        await client.until(lambda _: client.of("tier_changed"), WITHIN)

        await asyncio.gather(
            restored(stack.ingest, stack.ingest_database, tmp_path / "ingest.backup"),
            restored(stack.tiers, stack.tiers_database, tmp_path / "tiers.backup"),
        )

        await client.first("resync_required", WITHIN)
        await client.until(lambda _: client.of("tier_changed")[-1]["user_tier"] == "pro", WITHIN)
        assert [(await stack.publish(signal)).status_code for signal in saved] == [200] * 5  # nothing is stored twice
        assert [(await stack.publish(signal)).status_code for signal in [*lost, *after]] == [201] * 5
        await client.signals_received(13, WITHIN)
        assert [data["hash"] for data in client.data[8:]] == [signal["sha256"] for signal in [*lost, *after]]
        await stack.set_tier("reader", "starter")  # takes the version that the lost change had
        await client.until(lambda _: client.of("tier_changed")[-1]["user_tier"] == "starter", WITHIN)
    async with stack.client("reader", cursor=cursor) as returning:
        assert (await returning.first("connected", WITHIN))["recovered"] is False

    await archived(stack, tmp_path / "signals-1-6.jsonl", before=7)
    lines = [json.loads(line) for line in (tmp_path / "signals-1-6.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(7))  # the first is the checkpoint that it goes on from
    assert "4 signals" in await asyncio.to_thread(stack.ingest.command, "ledger", "verify")
    assert (await stack.publish(saved[0])).status_code == 200  # the names of what was archived stay


async def restored(service: Service, url: str, backup: Path) -> None:
    """The procedure: stop, restore, begin a new epoch, start."""
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(restore, url, backup)
    assert "begins" in await asyncio.to_thread(service.command, "epoch", "rotate")
    service.spawn()
    await service.ready()


async def archived(stack: Stack, out: Path, *, before: int) -> None:
    """The publisher's cursor follows what it has published by up to 100 ms: asked again until it has."""
    for _ in range(20):
        try:
            await asyncio.to_thread(
                stack.ingest.command, "ledger", "archive", "--before", str(before), "--out", str(out)
            )
        except ServiceFailed as error:
            if "are published" not in str(error):
                raise
        else:
            return
    raise AssertionError("not published")
