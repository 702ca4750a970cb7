"""The part of the configuration that says how much a client may ask for."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from tiercast_gateway.addresses import Network, networks
from tiercast_shared.settings import ServiceSettings


class LimitSettings(ServiceSettings):
    """Limits that are the same for every tier; those by tier stand in the table of entitlements."""

    messages_per_second: int = Field(
        20,
        alias="GATEWAY_MESSAGES_PER_SECOND",
        ge=1,
        description="Messages that one socket may send, on average over 5 s.",
    )
    handshakes_per_second: int = Field(
        1000,
        alias="GATEWAY_HANDSHAKES_PER_SECOND",
        ge=1,
        description="WebSocket upgrades that one address may ask for.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        alias="GATEWAY_TRUSTED_PROXIES",
        description="Networks, comma-separated, whose `X-Forwarded-For` names the client's address.",
    )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return networks(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value
