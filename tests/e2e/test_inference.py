"""A STARTER learns nothing about premium signals, not even that there are any.

Two systems see the same standard signals; one sees premium ones between them too. Every byte that a STARTER or
an anonymous caller is sent, over WebSocket, server-sent events and HTTP, must be the same: only times, and identifiers that are
random anyway, are put out of sight first, without changing their length.
"""

import re
import secrets
from collections.abc import Callable
from difflib import unified_diff

import httpx
import pytest

from tests.support.http import async_http
from tests.support.producers import premium, standard
from tests.support.stack import Stack
from tests.support.stack_factory import StackFactory

USER = "starter"
FIXED_TIME = "2026-01-01T00:00:00+00:00"

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<=\")[0-9a-f]{32}(?=\")")
CURSOR = re.compile(r"(?<![\w-])[\w-]{43,}(?![\w-])")
RESET = re.compile(r"(?m)(?<=;t=)\d+|(?<=^x-ratelimit-reset: )\d+")
CLOCK = re.compile(r"\b1[789]\d{8}(?:\.\d+)?\b")
DATE = re.compile(r"(?m)^date: .*$")
LINK = re.compile(r"(?<=\")[0-9a-f]{64}(?=\")")


def seen(text: str, chains: bool = False) -> str:
    """`text` with times and random identifiers blotted out; a cursor keeps its length, which is all it may tell.

    The links of the standard chain cover the times and ids inside signals; `chains` blots them out too.
    """
    text = RESET.sub("<seconds>", UUID.sub("<id>", text))
    text = LINK.sub("<link>", text) if chains else text
    text = CURSOR.sub(lambda found: f"<{len(found[0])} characters>", text)
    return DATE.sub("date: <now>", CLOCK.sub("<time>", text))


def answered(response: httpx.Response, *, chains: bool = False) -> str:
    """All of an answer: status, headers, body. Its length is counted without times, which have as many digits as they need."""
    headers, body = dict(response.headers), seen(response.text, chains)
    if "content-length" in headers:
        assert int(headers["content-length"]) == len(response.content)
        headers["content-length"] = str(len(body.encode()))
    head = "\n".join(f"{name}: {value}" for name, value in sorted(headers.items()))
    return seen(f"{response.status_code}\n{head}\n", chains) + body


Submission = dict[str, object]


async def everything_a_starter_sees(
    stack: Stack, standards: list[Submission], between: Callable[[], list[Submission]]
) -> list[str]:
    """What a STARTER and an anonymous caller see while `standards` are published, each behind what `between` gives."""
    shown: list[str] = []
    token = stack.token(USER, iat=1_700_000_000, exp=4_000_000_000)
    bearer = {"Authorization": f"Bearer {token}"}
    async with (
        async_http(base_url=stack.gateway.url, timeout=20) as http,
        stack.client(USER, token=token) as socket,
        http.stream("GET", "/api/v1/signals/stream", headers=bearer) as stream,
        stack.client("witness") as witness,
    ):
        await stack.set_tier("witness", "elite")
        await socket.first("connected")
        await witness.until(lambda _: witness.of("tier_changed") or witness.frames[0]["user_tier"] == "elite")
        heard, chunks = 0, stream.aiter_text()
        events = ""
        for signal in standards:
            extra = between()
            await stack.publish_all([*extra, signal])
            heard += len(extra) + 1
            await witness.signals_received(heard)
        await socket.signals_received(len(standards))
        await stack.publish_all(between() or [])
        await socket.settled()
        async for chunk in chunks:
            events += chunk
            if events.count("new_signal") == len(standards):
                break
        shown += [seen(raw.decode()) for raw in socket.raw]
        shown += [seen(events)]
        cursor = socket.signals[3]["cursor"]
        lengths = {len(frame["cursor"]) for frame in socket.signals}
        assert len(lengths) == 1
        latest = "/api/v1/signals/latest"
        for path in (
            f"{latest}?limit=100",
            f"{latest}?premium_only=true",
            f"{latest}?after={cursor}&limit=3",
            f"{latest}?after={cursor}&premium_only=true",
            "/api/v1/signals/subscribed?limit=5&offset=2",
            "/api/v1/signals/subscribed?premium_only=true",
            f"/api/v1/signals/{secrets.token_hex(4)}/proof",
            "/api/v1/signals/00000000-0000-4000-8000-000000000000/proof",
        ):
            shown.append(answered(await http.get(path, headers=bearer)))
        first = (await http.get(f"{latest}?limit=100", headers=bearer)).json()[-1]["id"]
        shown.append(answered(await http.get(f"/api/v1/signals/{first}/proof", headers=bearer), chains=True))
        shown.append(answered(await http.get("/api/v1/ledger", headers=bearer), chains=True))
        for path in ("/ws/stats", "/healthz", "/readyz", latest, "/openapi.json"):
            shown.append(answered(await http.get(path)))
        etags = [(await http.get(latest, headers=bearer)).headers["etag"] for _ in range(2)]
        await stack.publish_all(between() or [])
        await witness.send({"type": "ping"})
        await witness.settled()
        etags.append((await http.get(latest, headers=bearer)).headers["etag"])
        assert len(set(etags)) == 1, "an ETag moves with nothing that the caller may see"
    async with stack.client(USER, token=token, cursor=cursor) as resumed:
        await resumed.signals_received(len(standards) - 4)
        await resumed.settled()
        shown += [seen(raw.decode()) for raw in resumed.raw]
    return shown


@pytest.mark.timeout(400)  # two stacks, one after the other
async def test_a_starter_sees_the_same_bytes_whether_or_not_there_is_premium_traffic(make_stack: StackFactory) -> None:
    standards = [standard(timestamp=FIXED_TIME, signal_id=f"s-{number}") for number in range(12)]
    plain = await everything_a_starter_sees(make_stack(), standards, list)
    numbers = iter(range(1000))
    mixed = await everything_a_starter_sees(
        make_stack(), standards, lambda: [premium(symbol="AAPL") for _ in range(next(numbers) % 4 + 1)]
    )

    assert len(plain) == len(mixed) > 30
    differing = [
        line
        for pair in zip(plain, mixed, strict=True)
        for line in unified_diff(*(text.replace(",", ",\n").splitlines() for text in pair), n=1, lineterm="")
    ]
    assert not differing, "\n".join(differing)
    assert not any("PREMIUM" in text and '"openapi"' not in text for text in mixed)
