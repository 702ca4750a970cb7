"""Settings of the tiers service, each one environment variable."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tiercast_shared.settings import ServiceSettings


class DatabaseSettings(BaseSettings):
    """All that the commands on the database need."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    database_url: SecretStr = Field(
        alias="TIERS_DATABASE_URL",
        description="SQLAlchemy URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`.",
    )


class TiersSettings(DatabaseSettings, ServiceSettings):
    """What `tiercast-tiers serve` needs."""

    amqp_url: SecretStr = Field(
        validation_alias=AliasChoices("TIERS_AMQP_URL", "AMQP_URL"), description="Where changes are published."
    )
    admin_key: SecretStr = Field(
        alias="TIERS_ADMIN_KEY", min_length=16, description="Who shows it in `X-Admin-Key` may read and set tiers."
    )
    port: int = Field(8002, alias="TIERS_PORT", ge=1, le=65535, description="Port of the HTTP API.")
    metrics_port: int = Field(9102, alias="TIERS_METRICS_PORT", ge=1, le=65535, description="Port of `/metrics`.")
