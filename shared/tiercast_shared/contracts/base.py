"""What every message has in common."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

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


def _require_constants(schema: JsonDict) -> None:
    """In a schema, require what says which message it is (`type`, `schema`); pydantic leaves out whatever has a default."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    constants = [name for name, property_ in properties.items() if isinstance(property_, dict) and "const" in property_]
    required = schema.get("required", [])
    if constants and isinstance(required, list):
        schema["required"] = [*constants, *(name for name in required if name not in constants)]


class Contract(BaseModel):
    """A message between services or to clients: immutable, and fields a reader does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=_require_constants)


class Beacon(Contract):
    """Said every second by the owner of a log, so that receivers know whether it is alive and how far it has published."""

    type: Literal["beacon"] = "beacon"
    epoch: Epoch
    head: Seq = Field(description="Highest position published and confirmed by the broker.")
    committed: Seq = Field(description="Highest position in the log.")
    at: UnixSeconds
