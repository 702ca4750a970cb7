"""The three services as they run on one machine: their names, ports and commands."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiercast_local.errors import LocalError
from tiercast_local.ports import LOOPBACK, accepts, is_free


@dataclass(frozen=True)
class LocalService:
    """A service and the ports it listens on unless the environment says otherwise."""

    name: str
    default_port: int
    default_metrics_port: int

    @property
    def port_variable(self) -> str:
        """The environment variable with its port."""
        return f"{self.name.upper()}_PORT"

    @property
    def metrics_port_variable(self) -> str:
        """The environment variable with the port of its metrics."""
        return f"{self.name.upper()}_METRICS_PORT"

    @property
    def command(self) -> str:
        """The path of its console script, which stands beside this interpreter."""
        return str(Path(sys.executable).parent / f"tiercast-{self.name}")

    def ports(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return both ports by their variables, from `environ` or the defaults."""
        defaults = {
            self.port_variable: self.default_port,
            self.metrics_port_variable: self.default_metrics_port,
        }
        return {name: environ.get(name) or str(default) for name, default in defaults.items()}


INGEST = LocalService("ingest", 8001, 9101)
TIERS = LocalService("tiers", 8002, 9102)
GATEWAY = LocalService("gateway", 8000, 9100)
SERVICES = (INGEST, TIERS, GATEWAY)
MIGRATED = (INGEST, TIERS)


def url(service: LocalService, values: Mapping[str, str]) -> str:
    """Return where the service's HTTP API is."""
    return f"http://{LOOPBACK}:{values[service.port_variable]}"


def metrics_url(service: LocalService, values: Mapping[str, str]) -> str:
    """Return where the service's metrics are."""
    return f"http://{LOOPBACK}:{values[service.metrics_port_variable]}/metrics"


def require_free_ports(values: Mapping[str, str]) -> None:
    """Raise `LocalError` naming every port that is taken, asked for twice or no port, with its variable."""
    problems: list[str] = []
    users: dict[str, str] = {}
    for name in (name for service in SERVICES for name in service.ports(values)):
        text = values[name]
        if not text.isdecimal() or not 0 < int(text) < 2**16:
            problems.append(f"{name}={text} is not a port")
        elif text in users:
            problems.append(f"{name} and {users[text]} are both {text}")
        elif accepts(int(text)) or not is_free(int(text)):
            problems.append(f"port {text} is taken; stop what listens there or set {name} to another port")
        users[text] = name
    if problems:
        raise LocalError("\n".join(problems))
