"""The commands `tiercast-ingest producers …`. A running ingest follows them within seconds."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from tiercast_ingest.command_line import run
from tiercast_ingest.commands import migrated_database
from tiercast_ingest.domain.sender import MAX_PRODUCER
from tiercast_ingest.producer_store import Listed, ProducerStore
from tiercast_ingest.settings import DatabaseSettings
from tiercast_shared.settings import load_settings

Answer = TypeVar("Answer")

producers = typer.Typer(help="Who may send signals.", no_args_is_help=True, rich_markup_mode=None)


def producer_name(value: str) -> str:
    """A producer's name from the command line."""
    if not 1 <= len(value) <= MAX_PRODUCER or not value.isprintable():
        raise typer.BadParameter(f"a name has 1 to {MAX_PRODUCER} printable characters")
    return value


Name = Annotated[str, typer.Argument(metavar="NAME", callback=producer_name)]
PerSecond = Annotated[
    int | None, typer.Option("--limit", min=1, max=1_000_000, help="Signals in a second, instead of the default.")
]
NoKey = Annotated[bool, typer.Option("--no-key", help="For a broker user that sends over AMQP only.")]
RevokeOthers = Annotated[bool, typer.Option("--revoke-others", help="The key leaked: none but the new one is valid.")]


@producers.command()
def add(name: Name, limit: PerSecond = None, no_key: NoKey = False) -> None:
    """Make a producer and print its key, which cannot be shown again."""
    key = _with_store(lambda store: store.add(name, per_second=limit, with_key=not no_key))
    if key is None:
        typer.echo(f"producer {name} added, without a key")
    else:
        _show_key(name, key)


@producers.command()
def rotate(name: Name, revoke_others: RevokeOthers = False) -> None:
    """Print a new key; the one before stays valid until the next rotation, so that the producer can change over."""
    _show_key(name, _with_store(lambda store: store.rotate(name, revoke_others=revoke_others)))


@producers.command()
def disable(name: Name) -> None:
    """Take nothing from a producer any more: 403 over HTTP, dead letters over AMQP."""
    _with_store(lambda store: store.set_disabled(name, disabled=True))
    typer.echo(f"producer {name} disabled")


@producers.command()
def enable(name: Name) -> None:
    """Take signals from a disabled producer again."""
    _with_store(lambda store: store.set_disabled(name, disabled=False))
    typer.echo(f"producer {name} enabled")


@producers.command("list")
def list_producers() -> None:
    """List all producers. Broker users that send over AMQP need not be among them."""
    table = Table("producer", "state", "signals/s", "live keys")
    for listed in _with_store(ProducerStore.listed):
        table.add_row(*_cells(listed))
    # in a pipe, every row stays whole whatever the width
    Console(width=None if sys.stdout.isatty() else 400, markup=False, highlight=False).print(table)


def _cells(listed: Listed) -> tuple[str, str, str, str]:
    producer = listed.producer
    state = "active" if producer.disabled_at is None else f"disabled {_day(producer.disabled_at)}"
    keys = ", ".join(f"made {_day(created_at)}" for created_at in listed.keys) or "none"
    return producer.name, state, str(producer.per_second or "default"), keys


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _show_key(name: str, key: str) -> None:
    typer.echo(f"The key of {name}, shown this once:", err=True)
    typer.echo(key)


def _with_store(work: Callable[[ProducerStore], Awaitable[Answer]]) -> Answer:
    async def on_database() -> Answer:
        async with migrated_database(load_settings(DatabaseSettings)) as database:
            return await work(ProducerStore(database))

    return run(on_database())
