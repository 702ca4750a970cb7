"""A client verifies what it was sent without trusting whoever sent it."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import httpx

from tests.support.producers import hashed_text, premium, standard
from tests.support.stack import Stack

VERIFIER = Path(__file__).resolve().parents[2] / "docs" / "verify_ledger.py"


def verify(export: bytes, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / f"{uuid4().hex}.jsonl"
    file.write_bytes(export)
    return subprocess.run([sys.executable, VERIFIER, file], capture_output=True, text=True, check=False)


def same_but_for_ids(answer: httpx.Response) -> tuple[int, object]:
    return answer.status_code, {name: value for name, value in answer.json().items() if name != "instance"}


async def test_a_signals_place_in_the_callers_chain_can_be_recomputed(stack: Stack) -> None:
    await stack.set_tier("prover", "pro")
    sent = [standard(), premium(), standard()]
    async with stack.client("prover") as client:
        await client.first("connected")
        await stack.publish_all(sent)
        await client.signals_received(3)
        received = client.data
    async with stack.gateway_http("prover") as pro, stack.gateway_http("poor") as poor:
        for signal, data in zip(sent, received, strict=True):
            proof = (await pro.get(f"/api/v1/signals/{data['id']}/proof")).json()
            assert proof["data"] == data == json.loads(proof["body"])
            assert proof["hashed_text"] == hashed_text(signal)
            assert sha256(proof["hashed_text"].encode()).hexdigest() == data["hash"]
            link = sha256(bytes.fromhex(proof["chain"]["before"]) + sha256(proof["body"].encode()).digest())
            assert link.hexdigest() == proof["chain"]["after"]
        mine = (await poor.get(f"/api/v1/signals/{received[2]['id']}/proof")).json()
        assert (mine["feed"], set(mine)) == ("standard", {"feed", "seq", "hashed_text", "body", "chain", "data"})
        hidden = await poor.get(f"/api/v1/signals/{received[1]['id']}/proof")
        nowhere = await poor.get(f"/api/v1/signals/{uuid4()}/proof")
        assert hidden.status_code == nowhere.status_code == 404
        assert hidden.content == nowhere.content, "a premium signal is as unknown to a starter as one that never was"


async def test_each_feeds_export_verifies_from_the_outside_and_a_change_is_found(stack: Stack, tmp_path: Path) -> None:
    await stack.set_tier("auditor", "elite")
    await stack.publish_all([premium() if number % 2 else standard() for number in range(20)])
    async with stack.gateway_http("auditor") as elite, stack.gateway_http("poor") as poor:
        whole, mine = (await elite.get("/api/v1/ledger")).content, (await poor.get("/api/v1/ledger")).content
    for export in (whole, mine):
        checked = verify(export, tmp_path)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert b"PREMIUM" in whole
    assert b"PREMIUM" not in mine
    lines = whole.splitlines(keepends=True)
    lines[4] = lines[4].replace(b"AAPL", b"MSFT")
    changed = verify(b"".join(lines), tmp_path)
    assert changed.returncode == 1
    assert "seq 5" in changed.stdout + changed.stderr
