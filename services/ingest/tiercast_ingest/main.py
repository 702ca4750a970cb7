"""The command `tiercast-ingest`."""

import typer

from tiercast_ingest import commands
from tiercast_ingest.app import serve as serve_until_stopped
from tiercast_ingest.command_line import run
from tiercast_ingest.dead_commands import dead
from tiercast_ingest.ledger_commands import ledger
from tiercast_ingest.producer_commands import producers
from tiercast_ingest.settings import DatabaseSettings, IngestSettings
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import load_settings

main = typer.Typer(
    help="Takes signals in, keeps the signal log and publishes it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
epoch = typer.Typer(help="The signal log's life.", no_args_is_help=True, rich_markup_mode=None)
main.add_typer(dead, name="dead")
main.add_typer(ledger, name="ledger")
main.add_typer(producers, name="producers")
main.add_typer(epoch, name="epoch")


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


@epoch.command("rotate")
def rotate() -> None:
    """Begin a new epoch after the database was restored, so that every client fetches anew."""
    old, new = run(commands.rotate_epoch(load_settings(DatabaseSettings)))
    typer.echo(f"epoch {old} ended, {new} begins")


if __name__ == "__main__":
    main()
