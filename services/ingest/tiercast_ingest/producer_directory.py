"""Who may send, and how much, answered from memory: a look at the database for every request would cost as much as storing it."""

import asyncio
from collections.abc import Mapping

from pydantic import SecretStr

from tiercast_ingest.domain.producer_keys import digest_of
from tiercast_ingest.producer_store import Directory, ProducerStore
from tiercast_shared.errors import Unavailable
from tiercast_shared.observability import get_logger

LOOK_SECONDS = 2.0
"""After which a new key is known and a disabled producer refused, at the latest, plus the time of one query."""

LOOK_TIMEOUT = 3.0
RETRY_SECONDS = 1.0

log = get_logger()


class ProducerDirectory:
    """The producers as the database last showed them. While it is away nothing can be stored, so what is known is kept."""

    def __init__(self, store: ProducerStore) -> None:
        self._store = store
        self._seen = Directory({}, frozenset(), {})

    async def begin(self, seeds: Mapping[str, SecretStr]) -> None:
        """Store the keys of `INGEST_API_KEYS` and look for the first time, as soon as the database lets us.

        Raises:
            ProducerConflict: a key is another producer's.
        """
        while True:
            try:
                await self._store.seed(seeds)
                await self.look()
            except (
                Unavailable,
                TimeoutError,
            ) as error:  # another replica that seeds the same keys counts as that, once
                log.warning("waiting for the database to know producers", reason=str(error), once_in=30)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (Unavailable, TimeoutError) as error:
                log.warning("producers not looked up, those known stay", reason=str(error), once_in=30)

    async def look(self) -> None:
        """Look once.

        Raises:
            StorageUnavailable, TimeoutError: the database did not answer.
        """
        async with asyncio.timeout(LOOK_TIMEOUT):
            self._seen = await self._store.directory()

    def owner(self, key: str) -> str | None:
        """Whose live key this is; looked up by its digest, so that the answer's delay tells nothing of other keys."""
        return self._seen.owners.get(digest_of(key))

    def disabled(self, producer: str) -> bool:
        """Whether nothing is to be taken from it."""
        return producer in self._seen.disabled

    def per_second(self, producer: str) -> int | None:
        """The producer's own limit, if it has one."""
        return self._seen.limits.get(producer)
