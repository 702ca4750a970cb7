"""Server-sent events on the running system."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.producers import premium, standard
from tests.support.stack import Stack


class EventReader:
    """Reads a stream as a browser's EventSource does: events with `id` and `data`."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id: str | None = None

    async def event(self) -> dict[str, Any]:
        """The next event's data."""
        data: list[str] = []
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line.startswith("data: "):
                    data.append(line.removeprefix("data: "))
                elif line.startswith("id: "):
                    self.last_id = line.removeprefix("id: ")
                elif not line and data:
                    return dict(json.loads("\n".join(data)))
        raise EOFError

    async def ended(self) -> None:
        """Wait until the server ends the stream."""
        async with asyncio.timeout(10):
            async for line in self._lines:
                assert not line.startswith("data: "), line


@asynccontextmanager
async def streaming(stack: Stack, user: str, **headers: str) -> AsyncIterator[EventReader]:
    async with (
        stack.gateway_http(user) as http,
        http.stream("GET", "/api/v1/signals/stream", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield EventReader(response)


async def test_a_stream_carries_the_callers_feed_and_resumes_by_last_event_id(stack: Stack) -> None:
    await stack.set_tier("sse-pro", "pro")
    sent = [premium(), standard(), premium()]
    async with streaming(stack, "sse-pro") as pro, streaming(stack, "sse-starter") as starter:
        await stack.publish_all(sent)
        assert [(await pro.event())["data"]["hash"] for _ in sent] == [signal["sha256"] for signal in sent]
        first = await starter.event()
        assert first["data"]["hash"] == sent[1]["sha256"]
        assert first["cursor"] == starter.last_id
        last = pro.last_id
    assert last is not None
    missed = [standard(), premium()]
    await stack.publish_all(missed)
    async with streaming(stack, "sse-pro", **{"Last-Event-ID": last}) as pro:
        assert [(await pro.event())["data"]["hash"] for _ in missed] == [signal["sha256"] for signal in missed]


async def test_a_downgrade_ends_the_stream_and_the_next_one_is_of_the_new_tier(stack: Stack) -> None:
    await stack.set_tier("sse-falls", "pro")
    async with streaming(stack, "sse-falls") as stream:
        await stack.publish_all([premium()])
        await stream.event()
        await stack.set_tier("sse-falls", "starter")
        await stream.ended()
        last = stream.last_id
    assert last is not None
    await stack.publish_all([premium(), standard()])
    async with streaming(stack, "sse-falls", **{"Last-Event-ID": last}) as stream:
        assert (await stream.event())["data"]["type"] == "STANDARD"


async def test_a_cursor_that_makes_no_sense_is_told(stack: Stack) -> None:
    async with streaming(stack, "sse-odd", **{"Last-Event-ID": "x" * 43}) as stream:
        assert (await stream.event())["reason"] == "invalid_cursor"


async def test_without_a_token_there_is_no_stream(stack: Stack) -> None:
    async with stack.gateway_http() as http:
        assert (await http.get("/api/v1/signals/stream")).status_code == 401
