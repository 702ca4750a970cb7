"""The commands `tiercast-ingest ledger …`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tiercast_ingest import commands
from tiercast_ingest.command_line import run
from tiercast_ingest.ledger import MAX_POSITION
from tiercast_ingest.settings import DatabaseSettings
from tiercast_shared.contracts.signals import Feed
from tiercast_shared.settings import load_settings

ledger = typer.Typer(help="The signal log's hash chains.", no_args_is_help=True, rich_markup_mode=None)


@ledger.command()
def verify(
    start: Annotated[int, typer.Option("--from", min=1, help="The link before it is taken for right.")] = 1,
    end: Annotated[int, typer.Option("--to", min=1)] = MAX_POSITION,
) -> None:
    """Recompute both hash chains; exits with 1 and names the first position of each that is wrong."""
    verdict = run(commands.verify_ledger(load_settings(DatabaseSettings), start, end))
    for found in verdict.breaks:
        typer.echo(f"broken at seq {found.seq}: {found.problem}", err=True)
    if verdict.breaks:
        raise typer.Exit(1)
    typer.echo(f"ok: {verdict.entries} signals, {verdict.standard_entries} of them in the standard feed")


@ledger.command()
def export(
    feed: Feed = Feed.ALL,
    out: Annotated[Path | None, typer.Option(help="Where to write; standard output if left out.")] = None,
) -> None:
    """Write one chain as lines of JSON: position in the feed, body as text, link (hexadecimal).

    A first line without a body is the checkpoint that the chain goes on from when entries were archived.
    """
    settings = load_settings(DatabaseSettings)
    if out is None:
        run(commands.export_ledger(settings, feed, sys.stdout.buffer))
        return
    try:
        with out.open("wb") as file:
            count = run(commands.export_ledger(settings, feed, file))
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from error
    typer.echo(f"{count} lines written to {out}")


@ledger.command()
def archive(
    before: Annotated[int, typer.Option(min=2, help="Position of the first entry that stays.")],
    out: Annotated[Path, typer.Option(help="A file that does not exist yet.")],
) -> None:
    """Move old entries to a file and leave a checkpoint, from which verification goes on.

    This is the only way in which entries leave the log. Their names stay, so that no signal is stored a second time.
    """
    count = run(commands.archive_ledger(load_settings(DatabaseSettings), before, out))
    typer.echo(f"{count} signals moved to {out}")
