"""The keys of producers: how one is made, and what of it is kept."""

import secrets
from hashlib import sha256

KEY_PREFIX = "tck_"
"""Lets a scanner for leaked secrets recognise one."""

KEY_BYTES = 32

LIVE_KEYS = 2
"""Of one producer: the new one, and the one before it until the producer has changed over."""


def new_key() -> str:
    """A key with 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> bytes:
    """What is stored of a key. A random key cannot be guessed, so one round of SHA-256 hides it as well as many would."""
    return sha256(key.encode()).digest()
