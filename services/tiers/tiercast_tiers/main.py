"""The command `tiercast-tiers`."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tiercast_shared.command_line import explained
from tiercast_shared.contracts.tiers import Tier, UserId
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import load_settings
from tiercast_tiers import commands, import_command
from tiercast_tiers.api_models import Actor, Reason
from tiercast_tiers.app import serve as serve_until_stopped
from tiercast_tiers.settings import DatabaseSettings, TiersSettings

PROGRAM = "tiercast-tiers"

main = typer.Typer(
    help="Users' subscription tiers. Answers are JSON, one object per line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
epoch = typer.Typer(help="The tier log's life.", no_args_is_help=True)
main.add_typer(epoch, name="epoch")

Checked = TypeVar("Checked")


def checked(kind: TypeAdapter[Checked], value: str) -> Checked:
    """`value` as the API would accept it, else a usage error."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from None


def user_id(value: str) -> str:
    """A user id from the command line."""
    return checked(TypeAdapter[str](UserId), value)


def reason_text(value: str) -> str:
    """A reason from the command line."""
    return checked(TypeAdapter[str](Reason), value)


def actor_name(value: str) -> str:
    """An actor from the command line."""
    return checked(TypeAdapter[str](Actor), value)


User = Annotated[str, typer.Argument(metavar="USER", callback=user_id)]


@main.command()
def serve() -> None:
    """Serve the API and publish changes."""
    settings = load_settings(TiersSettings)
    configure_logging("tiers", level=settings.log_level, log_format=settings.log_format)
    with explained(PROGRAM):
        asyncio.run(serve_until_stopped(settings))


@main.command()
def migrate() -> None:
    """Create or upgrade the tables; running it again changes nothing."""
    with explained(PROGRAM):
        revision = asyncio.run(commands.migrate_database(load_settings(DatabaseSettings)))
    typer.echo(f"the database is at revision {revision}")


@epoch.command("rotate")
def rotate() -> None:
    """Begin a new epoch after the database was restored, so that every gateway fetches anew."""
    with explained(PROGRAM):
        old, new = asyncio.run(commands.rotate_epoch(load_settings(DatabaseSettings)))
    typer.echo(f"epoch {old} ended, {new} begins")


@main.command()
def get(user: User) -> None:
    """Print a user's tier."""
    with explained(PROGRAM):
        typer.echo(asyncio.run(commands.get_user(load_settings(DatabaseSettings), user)).model_dump_json())


@main.command("set")
def set_tier(
    user: User,
    tier: Tier,
    reason: Annotated[str, typer.Option(callback=reason_text)] = "set by command",
    actor: Annotated[str, typer.Option(callback=actor_name)] = "cli",
) -> None:
    """Set a user's tier."""
    with explained(PROGRAM):
        answer = asyncio.run(commands.set_user(load_settings(DatabaseSettings), user, tier, reason, actor))
    typer.echo(answer.model_dump_json())


@main.command()
def history(user: User, limit: Annotated[int, typer.Option(min=1)] = 50) -> None:
    """Print a user's changes of tier, newest first."""
    with explained(PROGRAM):
        changes = asyncio.run(commands.user_history(load_settings(DatabaseSettings), user, limit))
    for change in changes:
        typer.echo(change.model_dump_json())


@main.command("import")
def import_tiers(
    file: Annotated[
        Path, typer.Argument(help="CSV in UTF-8: a header user_id,tier[,reason], then a line for each user.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the file, and count what would change.")
    ] = False,
    actor: Annotated[str, typer.Option(callback=actor_name)] = "import",
) -> None:
    """Set the tiers of many users. Nothing is done if any line is wrong; running it again finishes what was interrupted."""
    settings = load_settings(DatabaseSettings)
    with explained(PROGRAM), progress_bar() as progress:
        lines = import_command.read_file(file)
        task = progress.add_task("importing", total=len(lines))
        imported = asyncio.run(
            import_command.import_lines(
                settings, lines, actor, dry_run=dry_run, on_progress=lambda done: progress.advance(task, done)
            )
        )
    typer.echo(json.dumps(asdict(imported)))


def progress_bar() -> Progress:
    """A bar on standard error, where it does not get between the lines of an answer."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


if __name__ == "__main__":
    main()
