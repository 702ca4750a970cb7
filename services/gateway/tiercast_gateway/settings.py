"""The gateway's configuration: one environment variable per field."""

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from tiercast_gateway.entitlements import DEFAULT_ENTITLEMENTS, Entitlements
from tiercast_gateway.identity_settings import IdentitySettings
from tiercast_gateway.limit_settings import LimitSettings


class GatewaySettings(IdentitySettings, LimitSettings):
    """What the gateway reads from its environment."""

    amqp_url: SecretStr = Field(validation_alias=AliasChoices("GATEWAY_AMQP_URL", "AMQP_URL"), description="RabbitMQ.")
    port: int = Field(8000, alias="GATEWAY_PORT", ge=1, le=65535, description="HTTP and WebSocket.")
    metrics_port: int = Field(9100, alias="GATEWAY_METRICS_PORT", ge=1, le=65535, description="`/metrics`.")
    ingest_url: str = Field("http://127.0.0.1:8001", alias="INGEST_URL", description="Where ingest's log API is.")
    tiers_url: str = Field("http://127.0.0.1:8002", alias="TIERS_URL", description="Where the tiers service is.")
    dashboard_dir: Path | None = Field(
        None, alias="GATEWAY_DASHBOARD_DIR", description="The built dashboard, served at `/`; none when unset."
    )
    entitlements: Entitlements = Field(
        DEFAULT_ENTITLEMENTS,
        alias="GATEWAY_ENTITLEMENTS",
        description="JSON, tier → {feed, max_connections, history_limit, requests_per_minute}.",
    )
    ring_capacity: int = Field(
        10_000, alias="GATEWAY_RING_CAPACITY", ge=1000, description="Signals per feed kept in memory for resuming."
    )
    max_replay: int = Field(
        100_000,
        alias="GATEWAY_MAX_REPLAY",
        ge=0,
        description="Signals that one resume may ask for, from memory and from the log.",
    )
    drain_seconds: float = Field(
        10.0, alias="GATEWAY_DRAIN_SECONDS", ge=0, description="Time over which clients are sent away after SIGTERM."
    )
    heartbeat_seconds: float = Field(
        25.0, alias="GATEWAY_HEARTBEAT_SECONDS", gt=0, description="Between two pings to a client."
    )
