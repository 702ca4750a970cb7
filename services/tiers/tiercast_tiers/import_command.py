"""The command `tiercast-tiers import`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tiercast_shared.errors import TiercastError
from tiercast_tiers.commands import migrated_database
from tiercast_tiers.domain import Origin, SetTier, TierSet, UserState
from tiercast_tiers.settings import DatabaseSettings
from tiercast_tiers.store import TierStore
from tiercast_tiers.tier_csv import Line, read_sheet
from tiercast_tiers.writer import TierLogWriter

BATCH = 500
"""Users in one transaction."""


class BadSheet(TiercastError):
    """The file cannot be imported; nothing was."""


@dataclass(slots=True)
class Imported:
    """How many lines there were, and of how many users the tier was changed, or would be."""

    lines: int
    changed: int = 0
    dry_run: bool = False


def read_file(file: Path) -> Sequence[Line]:
    """Read all lines of a file.

    Raises:
        BadSheet: it cannot be read, or some line of it is wrong; each is named.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            sheet = read_sheet(text)
    except OSError as error:
        raise BadSheet(f"{file}: {error.strerror}") from None
    if sheet.problems:
        raise BadSheet(f"{file}: {sheet.complaint()}")
    return sheet.lines


async def import_lines(
    settings: DatabaseSettings,
    lines: Sequence[Line],
    actor: str,
    *,
    dry_run: bool,
    on_progress: Callable[[int], None],
) -> Imported:
    """Give all these users their tiers, 500 in a transaction; `on_progress` is told of the lines that are done.

    Who has the tier already is left alone, so an import that was interrupted is finished by running it again.
    """
    imported = Imported(len(lines), dry_run=dry_run)
    origin = Origin(actor, str(uuid4()), time.time())
    async with migrated_database(settings) as database:
        store, writer = TierStore(database), TierLogWriter(database, lambda _head, _events: None)
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            if dry_run:
                _, users = await store.users([line.user_id for line in batch])
                imported.changed += sum(users.get(line.user_id, UserState()).tier is not line.tier for line in batch)
            else:
                changes = [SetTier(line.user_id, line.tier, line.reason, origin) for line in batch]
                outcomes = await writer.commit(changes)
                imported.changed += sum(isinstance(outcome, TierSet) and outcome.changed for outcome in outcomes)
            on_progress(len(batch))
    return imported
