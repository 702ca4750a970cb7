"""`/api/v1/auth/token`: token exchange (RFC 8693), and its short form for a browser with the session cookie."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Cookie, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from tiercast_gateway.errors import CrossSite, InvalidToken
from tiercast_gateway.session_tokens import COOKIES
from tiercast_gateway.sites import check_site
from tiercast_gateway.token_exchange import TokenExchange
from tiercast_gateway.token_issuer import IssuedToken
from tiercast_shared.errors import Rejected, Unavailable
from tiercast_shared.web import Problem, read_body

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a kind of token
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - likewise
FORM = "application/x-www-form-urlencoded"
BODY_LIMIT = 64 * 1024
MAX_FIELDS = 50

NO_STORE = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",  # RFC 6749, section 5.1, asks for both
    "X-Content-Type-Options": "nosniff",
    "Vary": "Cookie, Origin",
}
REPEATABLE = {"audience", "resource"}


class ExchangedToken(BaseModel):
    """The answer of a token exchange."""

    access_token: str
    issued_token_type: str
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's name
    expires_in: int = Field(description="Seconds.")
    scope: str | None = Field(None, description="Empty, where a scope was asked for: there are none.")


class SessionToken(BaseModel):
    """The answer to a browser with a session cookie."""

    token: str
    expires_in: int = Field(description="Seconds.")


class OAuthProblem(BaseModel):
    """A refusal in the form of RFC 6749, section 5.2."""

    error: str
    error_description: str


class Refusal(Exception):
    """The request cannot be granted: `error` is one of RFC 6749's or RFC 8693's words."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def token_router(exchange: TokenExchange, *, audience: str | None, allowed_origins: frozenset[str]) -> APIRouter:
    """POST and GET `/api/v1/auth/token`."""
    router = APIRouter(prefix="/api/v1/auth", tags=["tokens"])

    @router.post(
        "/token",
        response_model=ExchangedToken,
        responses={400: {"model": OAuthProblem}, 503: {"model": OAuthProblem}},
        openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": FORM_SCHEMA}}}},
    )
    async def exchange_token(request: Request) -> JSONResponse:
        """Exchange a NextAuth or Auth.js session token, or an OIDC id token, for a token for this gateway (RFC 8693)."""
        try:
            asked = await _form(request)
            subject = _checked(asked, audience)
            exchanged = exchange.of_id_token if asked["subject_token_type"] == ID_TOKEN else exchange.of_session
            issued = await exchanged(subject)
        except Refusal as refusal:
            return _refused(400, refusal.error, refusal.description)
        except InvalidToken as error:  # RFC 8693, section 2.2.2: a bad subject token is an invalid request
            return _refused(400, "invalid_request", str(error))
        except Unavailable as error:
            return _refused(503, "temporarily_unavailable", error.message, {"Retry-After": "5"})
        return _granted(issued, asked)

    @router.get(
        "/token",
        response_model=SessionToken,
        responses={401: {"model": Problem}, 403: {"model": Problem}},
    )
    async def session_token(
        request: Request,
        _documented: Annotated[str | None, Cookie(alias=COOKIES[0], description="Or another of the names.")] = None,
    ) -> JSONResponse:
        """The same for a browser, from the session cookie of NextAuth or Auth.js."""
        try:
            check_site(request.headers, allowed_origins)
            issued = await exchange.of_cookies(request.cookies)
        except CrossSite as error:
            raise Rejected(403, "cross_site", str(error)) from None
        except InvalidToken as error:
            raise Rejected(401, "invalid_token", str(error)) from None
        if issued is None:
            raise Rejected(401, "missing_session", "there is no session cookie, or none is accepted here")
        return JSONResponse({"token": issued.token, "expires_in": issued.expires_in}, headers=NO_STORE)

    return router


FORM_SCHEMA = {
    "type": "object",
    "required": ["grant_type", "subject_token", "subject_token_type"],
    "properties": {
        "grant_type": {"const": GRANT},
        "subject_token": {"type": "string"},
        "subject_token_type": {"enum": [JWT, ID_TOKEN]},
        "requested_token_type": {"enum": [ACCESS_TOKEN, JWT]},
        "audience": {"type": "string"},
        "scope": {"type": "string"},
    },
}


async def _form(request: Request) -> dict[str, str]:
    """The fields of the body; a field without a value counts as left out (RFC 6749, section 3.2)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refusal("invalid_request", f"Content-Type must be {FORM}")
    try:
        body = await read_body(request, BODY_LIMIT)
        fields = parse_qs(body.decode(), max_num_fields=MAX_FIELDS, errors="strict")
    except Rejected as error:
        raise Refusal("invalid_request", error.message) from None
    except ValueError:
        raise Refusal("invalid_request", "the body is no form in UTF-8") from None
    for name, values in fields.items():
        if len(set(values)) > 1 or (len(values) > 1 and name not in REPEATABLE):
            raise Refusal("invalid_request", "a parameter is given more than once")
    return {name: values[0] for name, values in fields.items()}


def _checked(asked: dict[str, str], audience: str | None) -> str:
    """The subject token of a request whose other parameters can be granted."""
    if "grant_type" not in asked:
        raise Refusal("invalid_request", "grant_type is missing")
    if asked["grant_type"] != GRANT:
        raise Refusal("unsupported_grant_type", f"grant_type must be {GRANT}")
    for name in ("subject_token", "subject_token_type"):
        if name not in asked:
            raise Refusal("invalid_request", f"{name} is missing")
    if asked["subject_token_type"] not in {JWT, ID_TOKEN}:
        raise Refusal("invalid_request", f"subject_token_type must be {JWT} or {ID_TOKEN}")
    if "actor_token" in asked or "actor_token_type" in asked:
        raise Refusal("invalid_request", "actor_token: acting for another is not supported")
    if asked.get("requested_token_type", JWT) not in {JWT, ACCESS_TOKEN}:
        raise Refusal("invalid_request", f"requested_token_type must be {ACCESS_TOKEN} or {JWT}")
    if "resource" in asked or asked.get("audience", audience) != audience:
        raise Refusal("invalid_target", "tokens are issued for this gateway only (GATEWAY_JWT_AUDIENCE)")
    return asked["subject_token"]


def _granted(issued: IssuedToken, asked: dict[str, str]) -> JSONResponse:
    answer = ExchangedToken(
        access_token=issued.token,
        issued_token_type=asked.get("requested_token_type", ACCESS_TOKEN),
        expires_in=issued.expires_in,
        scope="" if "scope" in asked else None,
    )
    return JSONResponse(answer.model_dump(exclude_none=True), headers=NO_STORE)


def _refused(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> JSONResponse:
    problem = OAuthProblem(error=error, error_description=description)
    return JSONResponse(problem.model_dump(), status, NO_STORE | (headers or {}))
