"""HTTP behaviour that all services share: problem answers (RFC 9457), keys, bounded bodies."""

import hmac
import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tiercast_shared.errors import FieldError, Rejected, Unavailable

PROBLEM_JSON = "application/problem+json"

SCHEMA_REF = "#/components/schemas/{model}"

NAMED_FIELDS = 20
"""Wrong fields named in one answer; a list of a thousand wrong ones is not answered with a thousand."""

Model = TypeVar("Model", bound=BaseModel)


class ProblemField(BaseModel):
    """One wrong field."""

    field: str
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem: `code` is stable, `detail` is for people, `errors` names the wrong fields."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemField] = Field(default_factory=list)


TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def problem_response(error: Rejected, headers: dict[str, str] | None = None) -> JSONResponse:
    """Render a refusal."""
    problem = Problem(
        title=TITLES.get(error.status, "Error"),
        status=error.status,
        code=error.code,
        detail=error.message,
        errors=[ProblemField(field=f.field, message=f.message) for f in error.fields],
    )
    return JSONResponse(problem.model_dump(), error.status, headers, PROBLEM_JSON)


def unavailable_response(error: Unavailable) -> JSONResponse:
    """Render a 503, or what the error's kind says, with `Retry-After` in whole seconds."""
    retry_after = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return problem_response(Rejected(error.status, error.code, error.message), retry_after)


def install_error_handlers(app: FastAPI, *, challenge: str | None = None) -> None:
    """Make every refusal of `app`, FastAPI's own included, a problem answer; `challenge` goes into `WWW-Authenticate` of a 401."""

    @app.exception_handler(Rejected)
    async def rejected(_request: Request, error: Rejected) -> JSONResponse:
        return problem_response(error, {"WWW-Authenticate": challenge} if challenge and error.status == 401 else None)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        # starlette raises it again behind this answer, and uvicorn logs it
        return problem_response(Rejected(500, "internal_error", "something is wrong here; it has been logged"))

    @app.exception_handler(Unavailable)
    async def unavailable(_request: Request, error: Unavailable) -> JSONResponse:
        return unavailable_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        fields = tuple(FieldError(field_name(e["loc"]), e["msg"]) for e in error.errors()[:NAMED_FIELDS])
        return problem_response(invalid_fields(fields))

    @app.exception_handler(ClientDisconnect)
    async def left(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it: the client left before its request was whole

    @app.exception_handler(HTTPException)
    async def http_error(_request: Request, error: HTTPException) -> JSONResponse:
        code = TITLES.get(error.status_code, "error").lower().replace(" ", "_")
        return problem_response(Rejected(error.status_code, code, str(error.detail)), dict(error.headers or {}))

    _tell_of_problems(app)


def _tell_of_problems(app: FastAPI) -> None:
    """Have the OpenAPI document say that refusals, FastAPI's own 422 included, are problems, and of what media type."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas |= models_json_schema([(Problem, "validation")], ref_template=SCHEMA_REF)[1]["$defs"]
        operations = [operation for path in document["paths"].values() for operation in path.values()]
        for response in (response for operation in operations for response in operation["responses"].values()):
            content = response.get("content", {})
            told = content.get("application/json", {}).get("schema", {}).get("$ref")
            if told in {SCHEMA_REF.format(model=name) for name in ("Problem", "HTTPValidationError")}:
                del content["application/json"]
                content[PROBLEM_JSON] = {"schema": {"$ref": SCHEMA_REF.format(model="Problem")}}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI documents that it is extended


def field_name(location: tuple[int | str, ...]) -> str:
    """Name a field as its sender knows it: pydantic's location without FastAPI's `body`, `query` or `path` in front."""
    parts = location[1:] if len(location) > 1 and location[0] in {"body", "query", "path", "header"} else location
    return ".".join(str(part) for part in parts) or "body"


def invalid_fields(fields: tuple[FieldError, ...]) -> Rejected:
    """A 422 that names each of `fields`."""
    return Rejected(422, "invalid_field", "; ".join(f"{f.field}: {f.message}" for f in fields), fields)


def require_key(header: str, key: SecretStr) -> Callable[[str | None], Awaitable[None]]:
    """A dependency that answers 401 unless `header` holds `key`; compared in constant time."""
    expected = key.get_secret_value().encode()
    scheme = APIKeyHeader(name=header, scheme_name=header, auto_error=False)

    async def check(given: Annotated[str | None, Security(scheme)]) -> None:
        if given is None:
            raise Rejected(401, "missing_key", f"header {header} is missing")
        if not hmac.compare_digest(given.encode(), expected):
            raise Rejected(401, "wrong_key", f"header {header} is wrong")

    return check


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's body, counting bytes as they come.

    Raises:
        Rejected: 413 as soon as more than `limit` bytes have come, whatever Content-Length said.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Rejected(413, "too_large", f"the body is larger than {limit} bytes")
    return bytes(body)


def json_body(model: type[Model], limit: int) -> Callable[[Request], Awaitable[Model]]:
    """A dependency that reads a bounded JSON body; unlike FastAPI's own, it runs after the dependencies named before it (keys).

    It answers 413 above `limit` bytes, and 422 for what is no JSON or has fields that are wrong, each named.
    """

    async def read(request: Request) -> Model:
        body = await read_body(request, limit)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise invalid_body(error.errors(include_url=False, include_input=False)) from None

    return read


def invalid_body(errors: list[ErrorDetails]) -> Rejected:
    """The refusal of a body in which pydantic found `errors`."""
    if errors[0]["type"] == "json_invalid":
        return Rejected.field("body", errors[0]["msg"], code="invalid_json")
    return invalid_fields(tuple(FieldError(field_name(("body", *e["loc"])), e["msg"]) for e in errors[:NAMED_FIELDS]))


def json_body_schema(model: type[BaseModel]) -> dict[str, object]:
    """What a route with `json_body` passes as `openapi_extra`. `model` must not refer to other models."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
