"""The gateway's HTTP clients of the two services that own data."""

from typing import Any

import httpx
import orjson

from tiercast_gateway.ring import LogEntry
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import TierChangePage, TierLookup
from tiercast_shared.errors import Unavailable

TIMEOUT_SECONDS = 5.0
LAST = 2**53
"""Beyond every position: asking for what follows it tells where the log ends."""


class LogPage:
    """A page of the signal log."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.epoch: str = raw["epoch"]
        self.head: int = raw["head"]
        self.entries = [
            LogEntry(
                position=entry["seq"],
                standard_seq=entry["standard_seq"],
                symbol=entry["symbol"],
                data=orjson.dumps(entry["data"]),  # the bytes that ingest rendered: it uses the same serialiser
                received_at=entry["received_at"],
                committed_at=entry["committed_at"],
            )
            for entry in raw["entries"]
        ]


class ServiceClient:
    """Asks one service, with the services' key."""

    def __init__(self, url: str, service_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"X-Service-Key": service_key}, timeout=TIMEOUT_SECONDS)
        self._url = url

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **options: Any) -> bytes:
        """The body of a 200.

        Raises:
            Unavailable: anything else came, or nothing.
        """
        try:
            response = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._url}{path}: {type(error).__name__} {error}") from error
        if response.status_code != httpx.codes.OK:
            raise Unavailable(f"{self._url}{path}: {response.status_code} {response.text[:200]}")
        return response.content


class IngestClient(ServiceClient):
    """Reads the signal log."""

    async def after(self, position: int, limit: int = 1000) -> LogPage:
        """Entries that follow `position`, in order."""
        return LogPage(orjson.loads(await self._ask("GET", "/api/v1/log", params={"after": position, "limit": limit})))

    async def standard_before(self, position: int, limit: int = 1000) -> LogPage:
        """The last standard entries below `position`, in order."""
        params = {"before": position, "limit": limit, "feed": Feed.STANDARD.value}
        return LogPage(orjson.loads(await self._ask("GET", "/api/v1/log", params=params)))


class TiersClient(ServiceClient):
    """Reads users' tiers and their changes."""

    async def lookup(self, user_ids: list[str]) -> TierLookup:
        """The state of up to 1,000 users, at one moment."""
        body = orjson.dumps({"user_ids": user_ids})
        return TierLookup.model_validate_json(await self._ask("POST", "/api/v1/tiers/lookup", content=body))

    async def changes(self, after: int, limit: int = 1000) -> TierChangePage:
        """Changes that follow position `after`, in order."""
        return TierChangePage.model_validate_json(
            await self._ask("GET", "/api/v1/changes", params={"after": after, "limit": limit})
        )
