"""How far a log is published, as the database knows it."""

from dataclasses import dataclass

from sqlalchemy import true
from sqlmodel import col, select

from tiercast_shared.eventlog.database import Database
from tiercast_shared.eventlog.lease import unix_now
from tiercast_shared.eventlog.models import HEAD_ID, HeadColumns, PublisherColumns


@dataclass(frozen=True, slots=True)
class Publication:
    """Both ends of what is still to be published."""

    head: int
    published: int
    holder: str | None
    """Who holds an unexpired lease."""


async def read_publication(
    database: Database, head: type[HeadColumns], publisher: type[PublisherColumns]
) -> Publication:
    """Read it from a log's head and publisher tables, in one statement.

    Raises:
        StorageUnavailable: the database is away.
    """
    alive = col(publisher.until) > unix_now()
    statement = (
        select(head.seq, publisher.published, publisher.holder, alive)
        .join(publisher, true())
        .where(head.id == HEAD_ID, publisher.id == HEAD_ID)
    )
    async with database.reading() as session:
        end, published, holder, held = (await session.exec(statement)).one()
    return Publication(end, published, holder if held else None)
