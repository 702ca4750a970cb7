"""Producers and their keys in the database."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import ColumnElement, and_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiercast_ingest.domain.producer_keys import LIVE_KEYS, digest_of, new_key
from tiercast_ingest.tables import Producer, ProducerKey
from tiercast_shared.errors import TiercastError
from tiercast_shared.eventlog.database import Database
from tiercast_shared.observability import get_logger

log = get_logger()


class ProducerConflict(TiercastError):
    """The producer is there already, is not there, or its key is another's."""


@dataclass(frozen=True, slots=True)
class Directory:
    """All producers at one moment."""

    owners: Mapping[bytes, str]
    """Whose each live key is, by its digest."""
    disabled: frozenset[str]
    limits: Mapping[str, int]
    """Signals per second of producers with a limit of their own."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A producer as operators see it; `keys` are when its live keys were made, newest first, Unix seconds."""

    producer: Producer
    keys: Sequence[float]


class ProducerStore:
    """Reads and changes producers. All methods raise `StorageUnavailable` while the database is away."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def directory(self) -> Directory:
        """Who may send, and how much."""
        statement = select(Producer, ProducerKey.digest).outerjoin(ProducerKey, _live())
        async with self._database.reading() as session:
            rows: Sequence[tuple[Producer, bytes | None]] = (await session.exec(statement)).all()
        return Directory(
            owners={digest: producer.name for producer, digest in rows if digest is not None},
            disabled=frozenset(producer.name for producer, _ in rows if producer.disabled_at is not None),
            limits={producer.name: producer.per_second for producer, _ in rows if producer.per_second is not None},
        )

    async def listed(self) -> list[Listed]:
        """All producers by name."""
        statement = (
            select(Producer, ProducerKey.created_at)
            .outerjoin(ProducerKey, _live())
            .order_by(col(Producer.name), col(ProducerKey.created_at).desc())
        )
        found: dict[str, tuple[Producer, list[float]]] = {}
        async with self._database.reading() as session:
            for producer, created_at in await session.exec(statement):
                _, keys = found.setdefault(producer.name, (producer, []))
                if created_at is not None:
                    keys.append(created_at)
        return [Listed(producer, keys) for producer, keys in found.values()]

    async def add(self, name: str, *, per_second: int | None = None, with_key: bool = True) -> str | None:
        """Make a producer; returns its key, which is nowhere else, or None for one that sends over AMQP only.

        Raises:
            ProducerConflict: it is there already.
        """
        async with self._database.writing() as session:
            if await session.get(Producer, name) is not None:
                raise ProducerConflict(f"there is a producer {name} already: `producers rotate` gives it a new key")
            session.add(Producer(name=name, created_at=self._clock(), per_second=per_second))
            await session.flush()
            return self._give_key(session, name) if with_key else None

    async def rotate(self, name: str, *, revoke_others: bool = False) -> str:
        """Give a producer a new key and return it; the one before stays live, unless `revoke_others`.

        Raises:
            ProducerConflict: it is not there.
        """
        async with self._database.writing() as session:
            await _locked(session, name)
            await self._retire(session, name, keep=0 if revoke_others else LIVE_KEYS - 1)
            return self._give_key(session, name)

    async def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Take nothing from a producer any more, or take from it again.

        Raises:
            ProducerConflict: it is not there.
        """
        async with self._database.writing() as session:
            producer = await _locked(session, name)
            producer.disabled_at = self._clock() if disabled else None

    async def seed(self, keys: Mapping[str, SecretStr]) -> None:
        """Make the keys of `INGEST_API_KEYS` live that were never seen; what is known stays as it is, revoked ones too.

        Raises:
            ProducerConflict: a key is another producer's.
        """
        async with self._database.writing() as session:
            for name, key in keys.items():
                await self._seed(session, name, digest_of(key.get_secret_value()))

    async def _seed(self, session: AsyncSession, name: str, digest: bytes) -> None:
        known = await session.get(ProducerKey, digest)
        if known is None:
            if await session.get(Producer, name, with_for_update=True) is None:
                session.add(Producer(name=name, created_at=self._clock()))
                await session.flush()
            await self._retire(session, name, keep=LIVE_KEYS - 1)
            session.add(ProducerKey(digest=digest, producer=name, created_at=self._clock()))
            await session.flush()
        elif known.producer != name:
            raise ProducerConflict(
                f"INGEST_API_KEYS: the key of {name} is the key of {known.producer} already: make another one"
            )
        elif known.revoked_at is not None:
            log.warning("the key in INGEST_API_KEYS was replaced by `producers rotate`, take it out", producer=name)

    def _give_key(self, session: AsyncSession, name: str) -> str:
        key = new_key()
        session.add(ProducerKey(digest=digest_of(key), producer=name, created_at=self._clock()))
        return key

    async def _retire(self, session: AsyncSession, name: str, *, keep: int) -> None:
        """Revoke all live keys but the `keep` newest."""
        live = select(ProducerKey).where(ProducerKey.producer == name, col(ProducerKey.revoked_at).is_(None))
        for key in (await session.exec(live.order_by(col(ProducerKey.created_at).desc()))).all()[keep:]:
            key.revoked_at = self._clock()


def _live() -> ColumnElement[bool]:
    return and_(col(ProducerKey.producer) == col(Producer.name), col(ProducerKey.revoked_at).is_(None))


async def _locked(session: AsyncSession, name: str) -> Producer:
    producer = await session.get(Producer, name, with_for_update=True)
    if producer is None:
        raise ProducerConflict(f"there is no producer {name}: `producers list` shows all")
    return producer
