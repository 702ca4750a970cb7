"""Liveness and readiness: `/healthz` says the process runs, `/readyz` that it can do its job now."""

from collections.abc import Callable

from fastapi import APIRouter, Response, status
from pydantic import BaseModel

Check = Callable[[], str | None]
"""Returns None when all is well, else what is missing, in words for an operator."""


class Health(BaseModel):
    """Answer of `/healthz`."""

    status: str = "ok"


class Readiness(BaseModel):
    """Answer of `/readyz`: what is missing, by the part that misses it."""

    ready: bool
    missing: dict[str, str]


class ReadinessChecks:
    """The parts that must work before this service is of use."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Ask `check` at every `/readyz`; it must answer from memory."""
        self._checks[name] = check

    @property
    def names(self) -> list[str]:
        """The parts that are asked."""
        return list(self._checks)

    def result(self) -> Readiness:
        """Ask all checks."""
        missing = {name: problem for name, check in self._checks.items() if (problem := check()) is not None}
        return Readiness(ready=not missing, missing=missing)


def health_router(checks: ReadinessChecks) -> APIRouter:
    """The two routes, the same on every service."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> Health:
        """Whether the process is alive."""
        return Health()

    @router.get("/readyz", responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Whether it can do its job now."""
        result = checks.result()
        if not result.ready:
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return result

    return router
