"""Settings of the tiers service, each one environment variable."""

from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tiercast_shared.contracts.tiers import Tier
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
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        alias="STRIPE_WEBHOOK_SECRET",
        description=(
            "Signing secret of the Stripe webhook; two, separated by a comma, while it is being changed."
            " Without one there is no webhook."
        ),
    )
    stripe_prices: dict[str, Tier] = Field(
        default_factory=dict,
        alias="TIERS_STRIPE_PRICES",
        description='What each price pays for, as JSON: `{"price_1Abc": "pro"}`.',
    )
    grace_days: float = Field(
        7.0,
        alias="TIERS_GRACE_DAYS",
        ge=0,
        le=365,
        description="Days from a failed payment until its user falls to starter, unless it is paid.",
    )
    port: int = Field(8002, alias="TIERS_PORT", ge=1, le=65535, description="Port of the HTTP API.")
    metrics_port: int = Field(9102, alias="TIERS_METRICS_PORT", ge=1, le=65535, description="Port of `/metrics`.")

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(secret.strip() for secret in value.split(",") if secret.strip())
        return value
