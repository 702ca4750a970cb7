"""The part of the gateway's configuration that says whose tokens are believed."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

import orjson
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from tiercast_gateway.signatures import import_private_key
from tiercast_shared.settings import ServiceSettings

LOOPBACK = {"127.0.0.1", "::1", "localhost"}

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9]\d{0,4})?")
DEFAULT_PORTS = re.compile(r"(?:http|ws)://.*:80|(?:https|wss)://.*:443")
"""Which browsers leave out."""


class IdentitySettings(ServiceSettings):
    """Keys, issuers and what is exchanged for a token."""

    jwt_secret: SecretStr | None = Field(
        None,
        alias="GATEWAY_JWT_SECRET",
        min_length=32,
        description="Secret of HS256 tokens, at least 32 bytes. This, `GATEWAY_JWT_PRIVATE_KEY` or `GATEWAY_JWKS_URL` is required.",
    )
    jwt_issuer: str | None = Field(
        None, alias="GATEWAY_JWT_ISSUER", description="Demanded `iss`; unchecked when unset."
    )
    jwt_audience: str | None = Field(
        None, alias="GATEWAY_JWT_AUDIENCE", description="Demanded `aud`; unchecked when unset."
    )
    user_claim: str = Field("sub", alias="GATEWAY_USER_CLAIM", description="Claim that names the user.")
    token_seconds: int = Field(
        900, alias="GATEWAY_TOKEN_SECONDS", ge=30, le=86400, description="How long a token got by exchange is good."
    )
    jwks_url: str | None = Field(
        None,
        alias="GATEWAY_JWKS_URL",
        description="Published keys (https) of RS256 and ES256 tokens; needs `GATEWAY_JWT_ISSUER` and `GATEWAY_JWT_AUDIENCE`.",
    )
    nextauth_secret: SecretStr | None = Field(
        None,
        alias="NEXTAUTH_SECRET",
        description="Secret of the NextAuth or Auth.js application whose sessions are taken; several as a JSON list, newest first.",
    )
    oidc_issuer: str | None = Field(
        None,
        alias="OIDC_ISSUER",
        description="OpenID provider whose id tokens are exchanged; needs the next two.",
    )
    oidc_client_id: str | None = Field(None, alias="OIDC_CLIENT_ID", description="Demanded `aud` of id tokens.")
    oidc_jwks_url: str | None = Field(None, alias="OIDC_JWKS_URL", description="The provider's published keys (https).")
    jwt_private_key: SecretStr | None = Field(
        None,
        alias="GATEWAY_JWT_PRIVATE_KEY",
        description="Private key (PEM, RSA or EC P-256) that signs tokens got by exchange; without it `GATEWAY_JWT_SECRET` does.",
    )
    allowed_origins: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        alias="GATEWAY_ALLOWED_ORIGINS",
        description="Origins, comma-separated, whose pages may connect.",
    )

    @property
    def nextauth_secrets(self) -> list[str]:
        """All secrets of the application, the newest first; none if sessions are not taken."""
        return [] if self.nextauth_secret is None else _secrets(self.nextauth_secret.get_secret_value())

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return frozenset(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value

    @field_validator("allowed_origins")
    @classmethod
    def _as_browsers_write_them(cls, value: frozenset[str]) -> frozenset[str]:
        for origin in sorted(value):
            if not ORIGIN.fullmatch(origin) or DEFAULT_PORTS.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} would never be met: browsers say scheme://host or scheme://host:port, in lower case,"
                    " without the scheme's own port and with nothing behind"
                )
        return value

    @field_validator("jwks_url", "oidc_jwks_url")
    @classmethod
    def _over_tls(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if not (url.scheme == "https" and url.hostname) and not (url.scheme == "http" and url.hostname in LOOPBACK):
            raise ValueError("must be an https address")
        return value

    @field_validator("nextauth_secret")
    @classmethod
    def _some_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(_secrets(value.get_secret_value())):
            raise ValueError("a secret is empty")
        return value

    @field_validator("jwt_private_key")
    @classmethod
    def _some_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        value = SecretStr(value.get_secret_value().replace("\\n", "\n"))  # as many tools write PEM into one line
        import_private_key(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        signs = self.jwt_secret is not None or self.jwt_private_key is not None
        if not signs and self.jwks_url is None:
            raise ValueError("GATEWAY_JWT_SECRET, GATEWAY_JWT_PRIVATE_KEY or GATEWAY_JWKS_URL must be set")
        if self.jwks_url is not None and (self.jwt_issuer is None or self.jwt_audience is None):
            raise ValueError("GATEWAY_JWKS_URL needs GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE")
        oidc = (self.oidc_issuer, self.oidc_client_id, self.oidc_jwks_url)
        if any(oidc) and not all(oidc):
            raise ValueError("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_JWKS_URL must be set together")
        if not signs and (any(oidc) or self.nextauth_secret is not None):
            raise ValueError(
                "GATEWAY_JWT_SECRET or GATEWAY_JWT_PRIVATE_KEY must be set, to sign what sessions and id tokens are exchanged for"
            )
        return self


def _secrets(text: str) -> list[str]:
    """What `NEXTAUTH_SECRET` holds: a JSON list of texts, or else one secret as it stands."""
    if not text.startswith("["):
        return [text]
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    return listed if listed and all(isinstance(secret, str) for secret in listed) else [text]
