"""Settings of ingest, each one environment variable."""

from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tiercast_shared.settings import ServiceSettings

MIN_KEY = 16
"""Characters of a producer's key."""


class DatabaseSettings(BaseSettings):
    """All that the commands on the database need."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    database_url: SecretStr = Field(
        alias="INGEST_DATABASE_URL",
        description="SQLAlchemy URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`.",
    )


class BrokerSettings(BaseSettings):
    """All that the commands on dead letters need."""

    model_config = SettingsConfigDict(
        extra="ignore", populate_by_name=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    amqp_url: SecretStr = Field(
        validation_alias=AliasChoices("INGEST_AMQP_URL", "AMQP_URL"),
        description="Where signals come in and are published.",
    )
    trusted_publishers: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        alias="INGEST_TRUSTED_PUBLISHERS",
        description="Broker users, separated by commas, whose header `x-producer` names the producer.",
    )

    @field_validator("trusted_publishers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip())
        return value


class IngestSettings(DatabaseSettings, BrokerSettings, ServiceSettings):
    """What `tiercast-ingest serve` needs."""

    port: int = Field(8001, alias="INGEST_PORT", ge=1, le=65535, description="Port of the HTTP API.")
    metrics_port: int = Field(9101, alias="INGEST_METRICS_PORT", ge=1, le=65535, description="Port of `/metrics`.")
    api_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        alias="INGEST_API_KEYS",
        description=(
            'Keys for `X-API-Key` by producer, as JSON: `{"producer": "key"}`. Stored at start beside those that'
            " `tiercast-ingest producers` makes; taking one out here does not revoke it."
        ),
    )
    producer_limit: int = Field(
        5000,
        alias="INGEST_PRODUCER_LIMIT",
        ge=1,
        le=1_000_000,
        description="Signals that a producer without a limit of its own may send to one replica in a second.",
    )
    prefetch: int = Field(
        1000,
        alias="INGEST_PREFETCH",
        ge=1,
        le=65535,
        description="Messages taken from the broker and not yet acknowledged.",
    )
    max_batch: int = Field(200, alias="INGEST_MAX_BATCH", ge=1, le=5000, description="Signals in one transaction.")
    backlog_limit: int = Field(
        100_000,
        alias="INGEST_BACKLOG_LIMIT",
        ge=1,
        description="Signals stored and not yet published from which on no more are taken, until half of them are published.",
    )

    @field_validator("api_keys")
    @classmethod
    def _usable(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        values = [key.get_secret_value() for key in keys.values()]
        if any(not 1 <= len(producer) <= 255 for producer in keys):
            raise ValueError("a producer's name has 1 to 255 characters")
        if any(len(value) < MIN_KEY for value in values):
            raise ValueError(f"a key has at least {MIN_KEY} characters")
        if len(set(values)) < len(values):
            raise ValueError("two producers have the same key")
        return keys
