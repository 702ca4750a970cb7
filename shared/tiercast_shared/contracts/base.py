"""What every message has in common."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Literal[1] = 1
"""Version of the event schemas. Within one version changes are additive and consumers ignore unknown fields."""

Epoch = Annotated[
    str,
    Field(
        min_length=1, max_length=64, description="Name of one life of a log; changes when it is recreated or restored."
    ),
]
Seq = Annotated[int, Field(ge=0, description="Position in a log: 1, 2, 3, … without a gap; 0 is before the first.")]
UnixSeconds = Annotated[float, Field(description="Unix time in seconds.")]


class Contract(BaseModel):
    """A message between services or to clients: immutable, and fields a reader does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Beacon(Contract):
    """Said every second by the owner of a log, so that receivers know whether it is alive and how far it has published."""

    type: Literal["beacon"] = "beacon"
    epoch: Epoch
    head: Seq = Field(description="Highest position published and confirmed by the broker.")
    committed: Seq = Field(description="Highest position in the log.")
    at: UnixSeconds
