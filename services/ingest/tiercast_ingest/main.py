"""The command `tiercast-ingest`."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

import typer
import uvloop

from tiercast_ingest import commands
from tiercast_ingest.app import serve as serve_until_stopped
from tiercast_ingest.settings import DatabaseSettings, IngestSettings
from tiercast_shared.errors import TiercastError, Unavailable
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import EX_CONFIG, load_settings

EX_UNAVAILABLE = 69
"""Exit status for a database or broker that cannot be reached (sysexits.h)."""

Answer = TypeVar("Answer")

main = typer.Typer(
    help="Takes signals in, keeps the signal log and publishes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@contextmanager
def explained() -> Iterator[None]:
    """Say in one line what an operator can do about, and exit with a status that tells wrong setup from unreachable."""
    try:
        yield
    except TiercastError as error:
        sys.stderr.write(f"tiercast-ingest: {error}\n")
        raise SystemExit(EX_UNAVAILABLE if isinstance(error, Unavailable) else EX_CONFIG) from None


def run(work: Coroutine[None, None, Answer]) -> Answer:
    """Run `work` to its end."""
    with explained(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@main.command()
def serve() -> None:
    """Serve the API, consume signals.inbound and publish the log."""
    settings = load_settings(IngestSettings)
    configure_logging("ingest", level=settings.log_level, log_format=settings.log_format)
    run(serve_until_stopped(settings))


@main.command()
def migrate() -> None:
    """Create or upgrade the tables; running it again changes nothing."""
    revision = run(commands.migrate_database(load_settings(DatabaseSettings)))
    typer.echo(f"the database is at revision {revision}")


if __name__ == "__main__":
    main()
