"""The gateway's HTTP clients of the two services that own data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import httpx
import orjson

from tiercast_gateway.ring import LogEntry
from tiercast_shared.contracts.base import Contract, Epoch, Seq, UnixSeconds
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import TierChangePage, TierLookup
from tiercast_shared.errors import Unavailable

TIMEOUT_SECONDS = 5.0
LAST = 2**53
"""Beyond every position: asking for what follows it tells where the log ends."""


Answer = TypeVar("Answer")


class _Entry(Contract):
    """An entry as the log API gives it, its signal unread."""

    seq: Seq
    standard_seq: Seq | None
    symbol: str
    received_at: UnixSeconds
    committed_at: UnixSeconds
    data: dict[str, Any]


class _Page(Contract):
    epoch: Epoch
    head: Seq
    floor: Seq = 0
    entries: list[_Entry]


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the signal log."""

    epoch: str
    head: int
    floor: int
    """Entries up to this position are archived and come no more."""
    entries: list[LogEntry]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The page that the log API's answer holds; raises ValueError if it is none."""
        page = _Page.model_validate(orjson.loads(body))
        entries = [
            LogEntry(
                position=entry.seq,
                standard_seq=entry.standard_seq,
                symbol=entry.symbol,
                data=orjson.dumps(entry.data),  # the bytes that ingest rendered: it uses the same serialiser
                received_at=entry.received_at,
                committed_at=entry.committed_at,
            )
            for entry in page.entries
        ]
        return cls(page.epoch, page.head, page.floor, entries)


class SignalLog(Protocol):
    """Where entries that have left the rings are read from; `IngestClient` in production."""

    async def after(self, position: int, limit: int = 1000, *, feed: Feed = Feed.ALL) -> LogPage:
        """Entries of `feed` that follow `position` of the log, in order."""


class ServiceClient:
    """Asks one service, with the services' key."""

    def __init__(self, url: str, service_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"X-Service-Key": service_key}, timeout=TIMEOUT_SECONDS)
        self._url = url

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _ask(
        self, method: str, path: str, read: Callable[[bytes], Answer], *, missing: tuple[int, ...] = (), **options: Any
    ) -> Answer:
        """What `read` makes of the body of a 200, or of `null` for an answer that says that there is none.

        Raises:
            Unavailable: anything else came, or nothing, or it was not understood.
        """
        try:
            response = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._url}{path}: {type(error).__name__} {error}") from error
        if response.status_code in missing:
            return read(b"null")
        if response.status_code != httpx.codes.OK:
            raise Unavailable(f"{self._url}{path}: {response.status_code} {response.text[:200]}")
        try:
            return read(response.content)
        except ValueError as error:  # whatever stands between the services may answer 200 too
            raise Unavailable(f"{self._url}{path}: answer not understood: {str(error)[:200]}") from error


class IngestClient(ServiceClient):
    """Reads the signal log."""

    async def after(self, position: int, limit: int = 1000, *, feed: Feed = Feed.ALL) -> LogPage:
        """Entries of `feed` that follow `position` of the log, in order."""
        params = {"after": position, "limit": limit, "feed": feed.value}
        return await self._ask("GET", "/api/v1/log", LogPage.read, params=params)

    async def standard_before(self, position: int, limit: int = 1000) -> LogPage:
        """The last standard entries below `position`, in order."""
        params = {"before": position, "limit": limit, "feed": Feed.STANDARD.value}
        return await self._ask("GET", "/api/v1/log", LogPage.read, params=params)

    async def entry(self, signal_id: str) -> dict[str, Any] | None:
        """One entry with what proves its place (a `SignalProof`, parsed); None if there is none, or none any more."""
        found = await self._ask(
            "GET", f"/api/v1/log/{signal_id}", orjson.loads, missing=(httpx.codes.NOT_FOUND, httpx.codes.GONE)
        )
        return dict(found) if found is not None else None

    async def dead_letters(self) -> int:
        """Messages in `signals.dead`."""
        return await self._ask("GET", "/api/v1/queues", lambda body: int(orjson.loads(body)["dead"]))

    async def ledger(self, feed: Feed, after: int) -> bytes:
        """Lines of `feed`'s chain after a position of that feed; none at its end."""
        params = {"feed": feed.value, "after": after}
        return await self._ask("GET", "/api/v1/ledger/entries", bytes, params=params)


class TiersClient(ServiceClient):
    """Reads users' tiers and their changes."""

    async def lookup(self, user_ids: list[str]) -> TierLookup:
        """The state of up to 1,000 users, at one moment."""
        body = orjson.dumps({"user_ids": user_ids})
        return await self._ask("POST", "/api/v1/tiers/lookup", TierLookup.model_validate_json, content=body)

    async def changes(self, after: int, limit: int = 1000) -> TierChangePage:
        """Changes that follow position `after`, in order."""
        params = {"after": after, "limit": limit}
        return await self._ask("GET", "/api/v1/changes", TierChangePage.model_validate_json, params=params)
