"""Commands that work on the database directly. A running service sees what they write and publishes it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy import update
from sqlmodel import col

from tiercast_shared.contracts.tiers import Tier
from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.head import lock_head
from tiercast_shared.eventlog.migrations import migrate, require_migrated
from tiercast_tiers.api_models import TierHistoryItem, TierSetAnswer, UserTier
from tiercast_tiers.app import MIGRATE, PACKAGE
from tiercast_tiers.domain import Origin, SetTier, TierSet
from tiercast_tiers.settings import DatabaseSettings
from tiercast_tiers.store import TierStore
from tiercast_tiers.tables import TierLogHead, TierLogPublisher
from tiercast_tiers.writer import TierLogWriter


@asynccontextmanager
async def migrated_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """The database, known to have this version's tables."""
    async with Database.open(settings.database_url.get_secret_value()) as database:
        await require_migrated(database, PACKAGE, MIGRATE)
        yield database


async def migrate_database(settings: DatabaseSettings) -> str:
    """Create or upgrade the tables; returns the revision reached."""
    async with Database.open(settings.database_url.get_secret_value()) as database:
        return await migrate(database, PACKAGE)


async def rotate_epoch(settings: DatabaseSettings) -> tuple[str, str]:
    """Begin a new epoch: every receiver fetches anew. Returns the old and the new one.

    Used after a database was restored: the log may end earlier than it was published, so the cursor is moved back to its end.
    """
    async with migrated_database(settings) as database, database.writing() as session:
        head = await lock_head(session, TierLogHead)
        old, head.epoch = head.epoch, uuid4().hex
        beyond = col(TierLogPublisher.published) > head.seq
        await session.exec(update(TierLogPublisher).where(beyond).values(published=head.seq))
        return old, head.epoch


async def get_user(settings: DatabaseSettings, user_id: str) -> UserTier:
    """A user's tier now."""
    async with migrated_database(settings) as database:
        return UserTier.of(user_id, await TierStore(database).user(user_id))


async def set_user(settings: DatabaseSettings, user_id: str, tier: Tier, reason: str, actor: str) -> TierSetAnswer:
    """Give a user a tier."""
    change = SetTier(user_id, tier, reason, Origin(actor, str(uuid4()), time.time()))
    async with migrated_database(settings) as database:
        (outcome,) = await TierLogWriter(database, lambda _head, _events: None).commit([change])
    assert isinstance(outcome, TierSet)
    return TierSetAnswer.of(outcome)


async def user_history(settings: DatabaseSettings, user_id: str, limit: int) -> list[TierHistoryItem]:
    """A user's changes of tier, newest first."""
    async with migrated_database(settings) as database:
        entries = await TierStore(database).history(user_id, before=None, limit=limit)
    return [TierHistoryItem.of(entry) for entry in entries]
