"""The newest signals as an answer in HTTP: rendered once, and given to everyone who asks the same until there are newer ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from tiercast_gateway.callers import Caller
from tiercast_gateway.history import History
from tiercast_gateway.request_limits import RawHeaders
from tiercast_gateway.ring import RingItem

PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
"""Answers differ from caller to caller: a cache may keep them for this caller only, and must ask again each time."""

JSON = "application/json"

MAX_RENDERED = 16
"""Answers kept; a thousand signals, the most that one holds unless configured otherwise, are 0.6 MB."""

Question = tuple[str, int, bool]
"""Feed, limit, premium only."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    status: int
    headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """Both answers to one question, and the state of the ring for which they hold."""

    state: tuple[str, int]
    etag: str
    full: Answer
    unchanged: Answer


class Latest:
    """Answers what a caller may see; everyone on a feed who asks the same is given the same bytes."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._rendered: dict[Question, Rendered] = {}

    def answer(self, caller: Caller, limit: int, *, premium_only: bool, if_none_match: str | None) -> Answer:
        """The newest signals, or 304 for who has them; `limit` is clamped to what the tier may browse."""
        limit = min(limit, caller.entitlement.history_limit)
        question = (caller.entitlement.feed, limit, premium_only)
        state = self._history.state(caller)
        rendered = self._rendered.get(question)
        if rendered is None or rendered.state != state:
            rendered = self._render(caller, limit, premium_only, state)
            if len(self._rendered) >= MAX_RENDERED:
                self._rendered.clear()
            self._rendered[question] = rendered
        return rendered.unchanged if matches(rendered.etag, if_none_match) else rendered.full

    def _render(self, caller: Caller, limit: int, premium_only: bool, state: tuple[str, int]) -> Rendered:
        cursor, feed = state[0], caller.entitlement.feed
        # the feed is in it, because both feeds end at the same cursor when the last signal is a standard one
        etag = f'"{cursor}.{feed}.{limit}{"p" if premium_only else ""}"'
        headers = raw(PRIVATE | {"ETag": etag, "X-Tiercast-Cursor": cursor})
        body = array(self._history.newest(caller, premium_only=premium_only, limit=limit))
        content = raw({"Content-Length": str(len(body)), "Content-Type": JSON})
        return Rendered(state, etag, Answer(200, headers + content, body), Answer(304, headers, b""))


def raw(headers: dict[str, str]) -> RawHeaders:
    """Headers as ASGI has them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def array(items: Sequence[RingItem]) -> bytes:
    """Signals as one JSON array, each in the bytes in which it was stored."""
    return b"[" + b",".join(item.entry.data for item in items) + b"]"


def matches(etag: str, if_none_match: str | None) -> bool:
    """Whether a caller already has what `etag` stands for (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags
