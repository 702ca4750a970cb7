"""The command `tiercast-gateway`."""

import typer
import uvloop

from tiercast_gateway.app import Gateway
from tiercast_gateway.settings import GatewaySettings
from tiercast_shared.observability import configure_logging
from tiercast_shared.settings import load_settings

main = typer.Typer(help="Pushes signals to WebSocket clients, each according to its tier.", no_args_is_help=True)


@main.callback()
def _commands() -> None:
    """A callback makes typer keep `serve` as a command of its own."""


@main.command()
def serve() -> None:
    """Run one gateway replica, until SIGTERM."""
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", level=settings.log_level, log_format=settings.log_format)

    async def run() -> None:
        await Gateway(settings).run()

    uvloop.run(run())
