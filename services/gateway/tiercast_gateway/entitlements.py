"""What each tier is entitled to. Configuration with defaults; nothing else in the gateway knows a tier by name."""

from pydantic import BaseModel, Field

from tiercast_shared.contracts.signals import Feed
from tiercast_shared.contracts.tiers import Tier


class Entitlement(BaseModel):
    """What one tier gets."""

    feed: Feed
    max_connections: int = Field(ge=1)
    history_limit: int = Field(ge=1, description="Most signals one request for history returns.")
    requests_per_minute: int = Field(ge=1)


Entitlements = dict[Tier, Entitlement]

DEFAULT_ENTITLEMENTS: Entitlements = {
    Tier.STARTER: Entitlement(feed=Feed.STANDARD, max_connections=2, history_limit=10, requests_per_minute=60),
    Tier.PRO: Entitlement(feed=Feed.ALL, max_connections=5, history_limit=100, requests_per_minute=600),
    Tier.ELITE: Entitlement(feed=Feed.ALL, max_connections=20, history_limit=1000, requests_per_minute=6000),
}
