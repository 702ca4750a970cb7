"""The command `tiercast-gateway`."""

import typer

from tiercast_gateway.app import Gateway
from tiercast_gateway.settings import GatewaySettings
from tiercast_shared.command_line import run
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import load_settings

main = typer.Typer(
    help="Pushes signals to WebSocket clients, each according to its tier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@main.callback()
def _commands() -> None:
    """A callback makes typer keep `serve` as a command of its own."""


@main.command()
def serve() -> None:
    """Run one gateway replica, until SIGTERM."""
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", level=settings.log_level, log_format=settings.log_format)
    run("tiercast-gateway", _serve(settings))


async def _serve(settings: GatewaySettings) -> None:
    await Gateway(settings).run()


if __name__ == "__main__":
    main()
