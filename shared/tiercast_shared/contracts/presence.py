"""What gateway replicas tell each other of their connections, for limits per user and statistics."""

from typing import Annotated, Literal

from pydantic import Field

from tiercast_shared.contracts.base import SCHEMA_VERSION, Contract, UnixSeconds
from tiercast_shared.contracts.tiers import Tier, UserId


class UserPresence(Contract):
    """One user's connections to one replica."""

    tier: Tier = Field(description="What the user is served as.")
    opened_at: list[UnixSeconds] = Field(
        description="When each connection was opened, oldest first; empty: none is left."
    )


class GatewayPresence(Contract):
    """Said by a replica every second, and as soon as something has changed."""

    type: Literal["gateway.presence"] = "gateway.presence"
    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    replica: Annotated[str, Field(min_length=1, max_length=255)]
    instance: Annotated[str, Field(min_length=1, max_length=64, description="Names one life of the replica.")]
    full: bool = Field(description="Whether `users` is everybody, or only those of whom something has changed.")
    users: dict[UserId, UserPresence]
