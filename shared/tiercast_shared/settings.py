"""Fragments of settings that services share, and how a service reads its own at start.

Every setting is one environment variable. Nothing here has a usable secret as its default.
"""

import sys
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

EX_CONFIG = 78
"""Exit status for a configuration that cannot work (sysexits.h)."""

Settings = TypeVar("Settings", bound=BaseSettings)


class ServiceSettings(BaseSettings):
    """What every service needs. Fields name their environment variable as alias."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    host: str = Field("127.0.0.1", alias="HOST", description="Address to listen on; `0.0.0.0` in a container.")
    service_key: SecretStr = Field(
        alias="SERVICE_KEY", min_length=16, description="Shared by the services; they know each other by it."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="LOG_LEVEL", description="Least severe level that is logged."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", alias="LOG_FORMAT", description="`auto` is text in a terminal and JSON elsewhere."
    )


def load_settings(settings: type[Settings]) -> Settings:
    """Read settings from the environment, or say in one line per variable what is wrong and exit with 78."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            why = f"{name} is not set" if problem["type"] == "missing" else f"{name} is invalid: {message}"
            sys.stderr.write(f"configuration error: {why if name else message}\n")  # several fields have no one name
        raise SystemExit(EX_CONFIG) from None
