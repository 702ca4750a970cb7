"""Session tokens made by the packages that applications use, and the cookies that hold them."""

import json
from pathlib import Path
from typing import Any

from tests.support.node import Node

SCRIPT = Path(__file__).parents[1] / "e2e" / "node" / "sessions.mjs"
NEXTAUTH = "next-auth.session-token"
AUTHJS = "authjs.session-token"
CHUNK = 3936
"""About what both packages put into one cookie of 4096 bytes."""


def nextauth(user: str, secret: str, *, max_age: int = 3600, **claims: Any) -> dict[str, Any]:
    """What NextAuth 4 calls its `encode` with."""
    return {"version": 4, "token": {"sub": user, **claims}, "secret": secret, "maxAge": max_age}


def authjs(
    user: str, secret: str | list[str], *, cookie: str = AUTHJS, max_age: int = 3600, **claims: Any
) -> dict[str, Any]:
    """What Auth.js 5 calls its `encode` with."""
    return {"version": 5, "token": {"sub": user, **claims}, "secret": secret, "maxAge": max_age, "salt": cookie}


def encoded(node: Node, *wanted: dict[str, Any]) -> list[str]:
    """The tokens, made by the packages' own `encode`."""
    tokens: list[str] = json.loads(node.run(SCRIPT, json.dumps(wanted)))
    return tokens


def cookies(name: str, token: str) -> dict[str, str]:
    """The cookies of a session: one, or several where the token is too long for one."""
    if len(token) <= CHUNK:
        return {name: token}
    parts = [token[start : start + CHUNK] for start in range(0, len(token), CHUNK)]
    return {f"{name}.{number}": part for number, part in enumerate(parts)}


def cookie_header(jar: dict[str, str]) -> dict[str, str]:
    """The header with which a browser sends them."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
