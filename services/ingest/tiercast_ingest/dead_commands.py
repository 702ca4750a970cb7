"""The commands `tiercast-ingest dead …`."""

from typing import Annotated

import typer

from tiercast_ingest.command_line import run
from tiercast_ingest.dead_queue import DeadLetter, DeadQueue, dead_queue
from tiercast_ingest.domain.strict_json import quoted
from tiercast_ingest.settings import BrokerSettings
from tiercast_shared.errors import Rejected
from tiercast_shared.settings import load_settings

dead = typer.Typer(help="Messages that could never be stored.", no_args_is_help=True, rich_markup_mode=None)

Numbers = Annotated[list[int] | None, typer.Argument(min=1, help="Numbers as `dead list` shows them.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]


@dead.command("list")
def list_letters(reason: Reason = None, limit: Annotated[int, typer.Option(min=1)] = 100) -> None:
    """List dead letters, oldest first: number, reason, producer, message id, size, error."""
    run(_list(limit, reason))


@dead.command()
def show(number: Annotated[int, typer.Argument(min=1, help="Number as `dead list` shows it.")]) -> None:
    """Print one dead letter's properties, and its body as it came."""
    letter = run(_letter(number))
    if letter is None:
        raise typer.BadParameter("there are not so many dead letters")
    for name in letter.properties.attributes():
        if value := getattr(letter.properties, name):
            typer.echo(f"{name}: {value}")
    typer.echo("")
    typer.echo(letter.message.body)


@dead.command()
def replay(numbers: Numbers = None, reason: Reason = None, everything: Everything = False) -> None:
    """Publish dead letters to signals.inbound again, as they came, and take them from the queue.

    The broker allows nobody to publish in another user's name, so the producer goes into the header x-producer. Ingest
    believes it if INGEST_TRUSTED_PUBLISHERS names the broker user of this command; otherwise that user counts as the producer.
    """
    chosen = run(_settle(numbers, reason, everything=everything, replayed=True))
    typer.echo(f"{chosen} replayed")


@dead.command()
def drop(numbers: Numbers = None, reason: Reason = None, everything: Everything = False) -> None:
    """Delete dead letters for good."""
    chosen = run(_settle(numbers, reason, everything=everything, replayed=False))
    typer.echo(f"{chosen} dropped")


async def _list(limit: int, reason: str | None) -> None:
    async with dead_queue(load_settings(BrokerSettings)) as queue:
        async for letter in queue.letters(limit):
            if reason in {None, letter.reason}:
                typer.echo(_line(letter))


async def _letter(number: int) -> DeadLetter | None:
    found = None
    async with dead_queue(load_settings(BrokerSettings)) as queue:
        async for letter in queue.letters(number):
            found = letter if letter.number == number else None
    return found


async def _settle(numbers: list[int] | None, reason: str | None, *, everything: bool, replayed: bool) -> int:
    if not (numbers or reason or everything):
        raise typer.BadParameter("say which: numbers, --reason or --all")
    settled = 0
    async with dead_queue(load_settings(BrokerSettings)) as queue:
        async for letter in queue.letters(max(numbers) if numbers else None):
            if (not numbers or letter.number in numbers) and reason in {None, letter.reason}:
                settled += await _settle_one(queue, letter, replayed=replayed)
    return settled


async def _settle_one(queue: DeadQueue, letter: DeadLetter, *, replayed: bool) -> bool:
    try:
        await (queue.replay(letter) if replayed else queue.drop(letter))
    except Rejected as error:
        typer.echo(f"left where it is: {error}", err=True)
        return False
    return True


def _line(letter: DeadLetter) -> str:
    parts = (letter.number, letter.reason, letter.producer or "-", quoted(letter.message_id or "-"))
    return "  ".join(map(str, (*parts, f"{len(letter.message.body)} bytes", letter.error)))
