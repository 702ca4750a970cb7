"""`.data/dev.env`: the generated secrets, kept, and where things are, written at each start."""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiercast_local import env_file
from tiercast_local.errors import LocalError
from tiercast_local.local_services import GATEWAY, INGEST, SERVICES, TIERS, url

ROOT = Path(__file__).resolve().parents[3]
PRODUCER = "demo"

KEPT: dict[str, Callable[[], str]] = {
    "SERVICE_KEY": lambda: secrets.token_urlsafe(32),
    "GATEWAY_JWT_SECRET": lambda: secrets.token_urlsafe(48),
    "TIERS_ADMIN_KEY": lambda: secrets.token_urlsafe(32),
    "INGEST_API_KEYS": lambda: json.dumps({PRODUCER: secrets.token_urlsafe(32)}),
    "GATEWAY_JWT_ISSUER": lambda: "tiercast-local",
    "GATEWAY_JWT_AUDIENCE": lambda: "tiercast",
}
"""What is generated when neither the environment nor the file has it."""

FRONT_ENDS = ("http://localhost", "http://localhost:3000", "http://localhost:5173")
"""Where applications under development are usually served."""

HEADINGS = (
    "Kept from start to start; add settings of your own here. Delete the file for new secrets.",
    "Where things are since the last `make up`, which writes this part anew.",
)


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory with everything that belongs to this checkout's local Tiercast."""
    return Path(environ.get("TIERCAST_DATA_DIR") or ROOT / ".data").absolute()


def load(data: Path) -> dict[str, str]:
    """Return the values of a Tiercast that was started here; raises `LocalError` when there was none."""
    values = env_file.read(data / "dev.env")
    if not values:
        raise LocalError(f"{data / 'dev.env'} is not there yet: start Tiercast with `make up` first")
    return values


def in_use(environ: Mapping[str, str], data: Path, amqp_url: str) -> dict[str, str]:
    """Return broker, databases, ports and addresses; what `environ` has wins."""
    values = {
        "AMQP_URL": amqp_url,
        "INGEST_DATABASE_URL": f"sqlite+aiosqlite:///{data}/ingest.db",
        "TIERS_DATABASE_URL": f"sqlite+aiosqlite:///{data}/tiers.db",
        "INGEST_TRUSTED_PUBLISHERS": unquote(urlsplit(amqp_url).username or "guest"),
    }
    for service in SERVICES:
        values |= service.ports(environ)
    values |= {"INGEST_URL": url(INGEST, values), "TIERS_URL": url(TIERS, values)}
    gateway = url(GATEWAY, values)
    origins = (gateway, f"http://localhost:{values[GATEWAY.port_variable]}", *FRONT_ENDS)
    values["GATEWAY_ALLOWED_ORIGINS"] = ",".join(origins)
    return {name: environ.get(name) or value for name, value in values.items()}


def save(environ: Mapping[str, str], data: Path, amqp_url: str) -> dict[str, str]:
    """Write the file for this start and return all its values.

    Kept values come from `environ`, else from the file, else they are generated.
    """
    path = data / "dev.env"
    present = in_use(environ, data, amqp_url)
    before = {name: value for name, value in env_file.read(path).items() if name not in present}
    generated = {name: make() for name, make in KEPT.items() if name not in before}
    kept = {name: environ.get(name) or value for name, value in (generated | before).items()}
    env_file.write(path, dict(zip(HEADINGS, (kept, present), strict=True)))
    return kept | present
