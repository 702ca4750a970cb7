"""The operations summary is for tokens with the scope alone."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.gateway.doubles import make_verifier, token
from tiercast_gateway.auth import Identity
from tiercast_gateway.callers import Credential
from tiercast_gateway.ops import ops_router
from tiercast_shared.web import install_error_handlers

REVOKED = "revoked"


async def ask(**claims: Any) -> httpx.Response:
    """The status of an answer that is not refused is 500: there is nothing to tell of here."""

    async def revoked(identity: Identity) -> bool:
        return identity.user_id == REVOKED

    app = FastAPI()
    install_error_handlers(app)
    app.include_router(ops_router(SimpleNamespace(), Credential(make_verifier().verify).of, revoked))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        headers = {"Authorization": f"Bearer {token(**claims)}"} if claims else {}
        return await http.get("/api/v1/ops/summary", headers=headers)


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({}, 401, "missing_token"),
        ({"exp": 1}, 401, "invalid_token"),
        ({"user": "anybody"}, 403, "missing_scope"),
        ({"scope": "opsy other"}, 403, "missing_scope"),
        ({"scope": ["ops"]}, 403, "missing_scope"),
        ({"user": REVOKED, "scope": "ops"}, 401, "revoked_token"),
        ({"scope": "other ops"}, 500, "internal_error"),
    ],
    ids=str,
)
async def test_only_a_token_with_the_scope_is_answered(claims: dict[str, Any], status: int, code: str) -> None:
    answer = await ask(**claims)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
