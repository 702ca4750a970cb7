"""Each service's settings, commands and environment names, as its code has them."""

import os
from unittest.mock import patch

import typer
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from tiercast_gateway.main import main as gateway
from tiercast_gateway.settings import GatewaySettings
from tiercast_ingest.main import main as ingest
from tiercast_ingest.settings import IngestSettings
from tiercast_shared.settings import ServiceSettings
from tiercast_tiers.main import main as tiers
from tiercast_tiers.settings import TiersSettings

SETTINGS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "tiers": TiersSettings,
    "gateway": GatewaySettings,
}
_APPS = {"ingest": ingest, "tiers": tiers, "gateway": gateway}


def environment_names(settings: type[BaseSettings]) -> set[str]:
    """Every variable that is read."""
    names: set[str] = set()
    for field in settings.model_fields.values():
        alias = field.validation_alias or field.alias
        names |= {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {str(alias)}
    return names


def commands(service: str) -> set[str]:
    """The commands of `tiercast-<service>`."""
    group = typer.main.get_command(_APPS[service])
    return set(group.commands)  # type: ignore[attr-defined] # a group, for there are several


def load(service: str, environment: dict[str, str]) -> ServiceSettings:
    """Settings from this environment and no other.

    Raises:
        pydantic.ValidationError: the service would not start.
    """
    with patch.dict(os.environ, environment, clear=True):
        return SETTINGS[service]()
