"""Users of a local Tiercast: their tier, and tokens that the gateway accepts."""

import time
from collections.abc import Mapping
from urllib.parse import quote

import httpx
from joserfc import jwt
from joserfc.jwk import OctKey

from tiercast_local.errors import LocalError
from tiercast_local.local_services import TIERS, url

TIER_NAMES = ("starter", "pro", "elite")
OPS = "ops"
"""The scope, and here the user, that may see the operations page."""

TOKEN_SECONDS = 12 * 3600


def make_token(values: Mapping[str, str], user: str, now: float | None = None, *, scope: str | None = None) -> str:
    """Return a JWT (HS256) for `user`, valid for twelve hours; with `scope`, for what that allows too."""
    issued = int(time.time() if now is None else now)
    claims = {
        "sub": user,
        "iss": values["GATEWAY_JWT_ISSUER"],
        "aud": values["GATEWAY_JWT_AUDIENCE"],
        "iat": issued,
        "exp": issued + TOKEN_SECONDS,
    } | ({"scope": scope} if scope else {})
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(values["GATEWAY_JWT_SECRET"]))


def set_tier(values: Mapping[str, str], user: str, tier: str, reason: str) -> None:
    """Set a user's tier through the tiers API; raises `LocalError` with what to do when that fails."""
    if tier not in TIER_NAMES:
        raise LocalError(f"unknown tier {tier!r}: choose starter, pro or elite")
    service = url(TIERS, values)
    try:
        response = httpx.put(
            f"{service}/api/v1/users/{quote(user, safe='')}/tier",
            json={"tier": tier, "reason": reason},
            headers={"X-Admin-Key": values["TIERS_ADMIN_KEY"]},
            timeout=10,
        )
    except httpx.HTTPError as error:
        raise LocalError(f"the tiers service does not answer at {service}: start it with `make up`") from error
    if response.is_error:
        raise LocalError(f"the tiers service refused ({response.status_code}): {response.text}")
