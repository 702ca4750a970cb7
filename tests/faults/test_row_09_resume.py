"""Row 9: a resume is whole, or says that it is not."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from tests.faults.arena import PATIENCE, TIERS, Arena
from tests.faults.client import ResumingClient
from tests.faults.ground import Ground
from tests.faults.history import Frame
from tests.faults.nemesis import revived
from tests.faults.producers import steady, until
from tests.faults.trial import Trial
from tests.support.http import async_http
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory
from tiercast_gateway.cursor import CursorCodec

RATE = 20.0
RING = 1000
MAX_REPLAY = 1200
TOLD_WITHIN = 60.0  # seconds until a trial fails


@pytest.mark.faults(9, line="cut and resumed on another replica")
async def test_clients_that_were_cut_resume_on_another_replica_while_signals_flow(
    trial: Trial, make_stack: StackFactory
) -> None:
    longest, per_tier, burst_of = ((600.0, 60.0), 20, 2 * RING) if trial.long else ((3.0,), 4, RING + 200)
    stack = make_stack(gateways=2, database="postgresql", settings={"GATEWAY_RING_CAPACITY": str(RING)})
    async with Arena(stack, trial.rng) as arena:
        for tier in TIERS:
            await arena.add_clients(tier, per_tier)
        resumes = 0
        async with steady([arena.http_producer()], arena.rng, rate=RATE):
            for seconds in longest:
                cut = time.monotonic()
                outages = [arena.rng.uniform(0, seconds) for _ in arena.clients]
                burst = asyncio.create_task(arena.burst(burst_of))  # so that most have to be filled from the log
                await asyncio.gather(*map(_away, arena.clients, outages))
                await burst
                resumes += len(outages)
                await arena.back(cut)
        trial.timing("all delivered after the last resume s", await arena.converged())
    _tally_resumes(trial, arena, resumes)
    trial.note(f"outages of 0–{max(longest):.0f} s, rings of {RING} signals")
    trial.judge(arena.findings())


async def _away(client: ResumingClient, seconds: float) -> None:
    here = client.gateway
    await client.cut()
    await asyncio.sleep(seconds)
    client.come_back(1 - here)


def _tally_resumes(trial: Trial, arena: Arena, resumes: int) -> None:
    refused = recovered = 0
    for client in arena.history.clients:
        for session in client.sessions:
            answers = [frame for frame in session.frames() if frame["type"] == "connected"]
            recovered += sum(frame["recovered"] is True for frame in answers)
            refused += sum(frame["recovered"] is False for frame in answers)
    trial.tally(resumes=resumes, **{"resumes whole": recovered, "resumes refused": refused})


@pytest.mark.faults(9, line="resumed while tiers was away", trials=2)
async def test_premium_that_was_withheld_while_tiers_was_away_is_not_lost_over_a_reconnect(
    trial: Trial, ground: Ground, arena: Arena
) -> None:
    for tier in TIERS:
        await arena.add_clients(tier, 2)
    tiers, gateways = arena.stack.tiers, arena.stack.gateways
    async with steady([arena.http_producer()], arena.rng, rate=RATE) as flow:
        await flow.seconds(1)
        killed = time.monotonic()
        tiers.kill()
        for gateway in gateways:  # whose replacements know no user
            gateway.kill()
            gateway.spawn()
        await arena.back(killed)
        await flow.seconds(2)
        cut = time.monotonic()
        await asyncio.gather(*(_away(client, 0.1) for client in arena.clients))
        await arena.back(cut)
        tiers.spawn()
        await revived(arena.stack.services)
        await flow.seconds(1)
    await arena.converged()
    trial.judge(arena.findings())


@dataclass(frozen=True)
class BadCursor:
    """A cursor from which nothing whole can be resumed."""

    kind: str
    text: str


def bad_cursors(stack: Stack, epoch: str, head: int, rng: random.Random) -> Iterator[BadCursor]:
    """One of each kind."""
    ours, theirs = CursorCodec(stack.service_key), CursorCodec("the-key-of-somebody-else-entirely")
    sound = ours.seal(epoch, head)
    at = rng.randrange(len(sound))
    yield BadCursor("of another epoch", ours.seal(uuid4().hex, head))
    yield BadCursor("too old", ours.seal(epoch, rng.randrange(head - MAX_REPLAY)))
    yield BadCursor("sealed with another key", theirs.seal(epoch, head))
    yield BadCursor("with a changed character", sound[:at] + ("A" if sound[at] != "A" else "B") + sound[at + 1 :])
    yield BadCursor("of another length", sound[: rng.randrange(len(sound))] or "x")
    yield BadCursor("of anything", f"{rng.getrandbits(200):x}")


@pytest.mark.faults(9, line="cursors that cannot be resumed from")
async def test_a_cursor_that_cannot_be_resumed_from_is_told_on_every_transport(
    trial: Trial, make_stack: StackFactory
) -> None:
    settings = {"GATEWAY_RING_CAPACITY": str(RING), "GATEWAY_MAX_REPLAY": str(MAX_REPLAY)}
    stack = make_stack(gateways=2, database="postgresql", settings=settings)
    rng = trial.rng
    async with Arena(stack, rng) as arena:
        watchers = [client for tier in TIERS for client in await arena.add_clients(tier, 1)]
        askers = [f"asker-{number}" for number in range(10)]  # who push nobody out who watches
        await asyncio.gather(*(arena.certainly_set_tier(user, rng.choice(TIERS)) for user in askers))
        await arena.burst(MAX_REPLAY + 300)
        await arena.converged()
        epoch, head = await _log_end(stack)
        told: dict[str, int] = {}
        asked = 0
        for _ in range(10 if trial.long else 1):
            for bad in bad_cursors(stack, epoch, head, rng):
                user, gateway = rng.choice(askers), rng.randrange(2)
                answers = await asyncio.gather(*(ask(stack, user, gateway, bad.text) for ask in TRANSPORTS.values()))
                asked += len(answers)
                for transport, answer in zip(TRANSPORTS, answers, strict=True):
                    if not answer:
                        told[f"{bad.kind} over {transport}"] = told.get(f"{bad.kind} over {transport}", 0) + 1
        stack.ingest.command("epoch", "rotate")
        everyone = await until(lambda: all(map(_resynced, watchers)), PATIENCE, "a resync of everyone")
        await arena.converged()
    trial.timing("everyone resynced after a new epoch s", everyone)
    trial.count("bad cursors that were not told", sum(told.values()), of=asked, unit="resumes from bad cursors")
    trial.judge(arena.findings())
    assert not told, told


async def _told_on_websocket(stack: Stack, user: str, gateway: int, cursor: str) -> bool:
    async with stack.client(user, gateway=gateway, cursor=cursor) as client:
        frame: Frame = await client.first("resync_required", within=TOLD_WITHIN)
        return bool(frame["reason"])


async def _told_on_stream(stack: Stack, user: str, gateway: int, cursor: str) -> bool:
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(TOLD_WITHIN),
            stack.gateway_http(user, gateway=gateway) as http,
            http.stream(
                "GET", "/api/v1/signals/stream", headers={"Last-Event-ID": cursor}, timeout=httpx.Timeout(TOLD_WITHIN)
            ) as answer,
        ):
            assert answer.status_code == httpx.codes.OK, answer.status_code
            async for line in answer.aiter_lines():
                if "resync_required" in line:
                    return True
    return False


async def _told_on_polling(stack: Stack, user: str, gateway: int, cursor: str) -> bool:
    async with stack.gateway_http(user, gateway=gateway) as http:
        answer = await http.get("/api/v1/signals/latest", params={"after": cursor, "limit": 10})
    return bool(answer.headers.get("X-Tiercast-Resync") == "true")


TRANSPORTS = {"WebSocket": _told_on_websocket, "SSE": _told_on_stream, "polling": _told_on_polling}


@pytest.mark.faults(9, line="cursors from the future")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_cursor_from_the_future_is_told(trial: Trial, ground: Ground, arena: Arena, transport: str) -> None:
    trial.result.line += f" over {transport}"
    (client,) = await arena.add_clients("pro", 1)
    await arena.converged()
    epoch, head = await _log_end(arena.stack)
    untold = asked = 0
    for _ in range(5 if trial.long else 1):
        cursor = CursorCodec(arena.stack.service_key).seal(epoch, head + arena.rng.randrange(100, 10**6))
        asked += 1
        untold += not await TRANSPORTS[transport](arena.stack, client.record.user, arena.rng.randrange(2), cursor)
    trial.count("bad cursors that were not told", untold, of=asked, unit="resumes from bad cursors")
    assert not untold


def _resynced(client: ResumingClient) -> bool:
    return any(b'"resync_required"' in raw for session in client.record.sessions for raw in session.raw)


async def _log_end(stack: Stack) -> tuple[str, int]:
    async with async_http(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}) as http:
        page = (await http.get("/api/v1/log", params={"limit": 1})).json()
    return page["epoch"], page["head"]
