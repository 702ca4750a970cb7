"""Keeps the tier cache complete: looks users up in batches, follows the tiers log, and reconciles."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from tiercast_gateway.clients import TiersClient
from tiercast_gateway.tier_cache import TierCache
from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.errors import Unavailable
from tiercast_shared.observability import get_logger

BATCH = 1000
RETRY_SECONDS = 0.5
RECONCILE_SECONDS = 60.0

log = get_logger()


class TierSync:
    """The cache's side of the tiers service."""

    def __init__(
        self,
        client: TiersClient,
        tiers: TierCache,
        *,
        on_unknown: Callable[[str], None],
        connected_users: Callable[[], Iterable[str]],
        on_lookup: Callable[[int, bool], None] = lambda _users, _ok: None,
    ) -> None:
        self._client = client
        self._tiers = tiers
        self._on_unknown = on_unknown
        self._connected_users = connected_users
        self._on_lookup = on_lookup
        self._asked: dict[str, None] = {}
        self._resolving: dict[str, asyncio.Future[None]] = {}
        self._wanted = asyncio.Event()
        self._behind = asyncio.Event()
        self._look = True
        self._problem: str | None = "the tiers service has not been read yet"
        self.restored_short = 0
        """How often the log was found to end before what was applied of it."""

    def look_up(self, user_id: str) -> None:
        """Look this user up, together with all others who are asked for until the request goes out."""
        self._asked[user_id] = None
        self._wanted.set()

    async def resolve(self, user_id: str) -> Tier:
        """The tier to serve this user by now; looked up if nothing is known that may be trusted, and STARTER if that fails."""
        if self._tiers.get(user_id) is None:
            future = self._resolving.get(user_id)
            if future is None:
                future = self._resolving[user_id] = asyncio.get_running_loop().create_future()
                self.look_up(user_id)
            await asyncio.shield(future)
        return self._tiers.tier_of(user_id)

    def catch_up(self, *, look: bool = False) -> None:
        """The tiers log has entries that were not seen; with `look`, it may have some that nobody has told of."""
        self._look = self._look or look
        self._behind.set()

    def problem(self) -> str | None:
        """What keeps the cache from being complete, for `/readyz`."""
        return self._problem if not self._tiers.epoch else None

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer())
            group.create_task(self._follow())
            group.create_task(self._reconcile())

    async def _answer(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._asked:
                await self._ask(self._next_batch())

    def _next_batch(self) -> list[str]:
        batch = list(islice(self._asked, BATCH))
        for user_id in batch:
            del self._asked[user_id]
        return batch

    async def _ask(self, user_ids: list[str]) -> None:
        self._tiers.asking(user_ids)
        try:
            lookup = await self._client.lookup(user_ids)
        except Unavailable as error:
            log.warning(
                "tiers cannot be looked up, will try again", users=len(user_ids), reason=error.message, once_in=30
            )
            self._on_lookup(len(user_ids), False)
            self._tiers.unanswered(user_ids)
            for user_id in user_ids:
                self._on_unknown(user_id)
            self._resolved(user_ids)
            connected = set(self._connected_users())
            self._asked.update(dict.fromkeys(user_id for user_id in user_ids if user_id in connected))
            await asyncio.sleep(RETRY_SECONDS)
            return
        self._on_lookup(len(user_ids), True)
        if lookup.epoch != self._tiers.epoch:
            self._restart(lookup.epoch, lookup.head)
        self._tiers.answered(lookup)
        self._resolved(user_ids)

    def _resolved(self, user_ids: Iterable[str]) -> None:
        for user_id in user_ids:
            if future := self._resolving.pop(user_id, None):
                future.set_result(None)

    async def _follow(self) -> None:
        self._behind.set()
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._fill()
            except Unavailable as error:
                if error.message != self._problem:  # said once, not at every attempt
                    log.warning("the tiers log cannot be read, will try again", reason=error.message)
                self._problem = error.message
                self._behind.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _fill(self) -> None:
        while self._look or not self._tiers.epoch or self._tiers.gap:
            asked, said = self._tiers.applied, self._tiers.known_head
            page = await self._client.changes(asked)
            if page.epoch != self._tiers.epoch:
                self._restart(page.epoch, page.head)
                continue
            if page.head < asked:
                self.restored_short += 1
                log.error(
                    "the tiers log is shorter than what was applied: it was restored without a new epoch, "
                    "so users may be served by tiers they no longer have; run 'tiercast-tiers epoch rotate'",
                    applied=asked,
                    log=page.head,
                )
                self._tiers.forget_versions()
                self._restart(page.epoch, page.head)
                continue
            self._look = False
            if not page.entries and self._tiers.known_head == said:  # nothing newer was told meanwhile
                self._tiers.known_head = (
                    page.head
                )  # it was said to reach further, and does not: the log itself is right
            for entry in page.entries:
                self._tiers.changed(entry.data)

    def _restart(self, epoch: str, head: int) -> None:
        """Changes are followed from the log's end on; who is connected is looked up."""
        self._tiers.begin(epoch, head)
        for user_id in self._connected_users():
            self.look_up(user_id)

    async def _reconcile(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            for user_id in self._connected_users():
                self.look_up(user_id)
