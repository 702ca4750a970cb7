"""The dashboard's files, from the gateway's own origin: the page, its assets, and what a browser may do with them."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tiercast_shared.errors import TiercastError

PAGE = "index.html"
RESERVED = ("/api/", "/ws/")
"""Nothing below these is a page: a mistyped address of the API stays a 404."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; "  # the WebSocket of the same origin too
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FOR_EVER = "public, max-age=31536000, immutable"
"""For what has a hash of its content in its name."""

ASK_AGAIN = "no-cache"
WORTH_COMPRESSING = ("text/", "application/json", "image/svg")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it goes out."""

    body: bytes
    zipped: bytes | None
    headers: dict[str, str]

    @classmethod
    def read(cls, file: Path, name: str) -> Self:
        """Read a file; `name` is its path below the dashboard's directory."""
        body = file.read_bytes()
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        text = kind.startswith(WORTH_COMPRESSING)
        headers = SECURITY | {
            "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
            "Cache-Control": FOR_EVER if name.startswith("assets/") else ASK_AGAIN,
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:20]}"',
            "Vary": "Accept-Encoding",
        }
        return cls(body, gzip.compress(body, mtime=0) if text else None, headers)

    def answer(self, request: Request) -> Response:
        """The answer to a GET or HEAD."""
        asked = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if self.headers["ETag"] in asked:
            return Response(status_code=304, headers=self.headers)
        if self.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers=self.headers | {"Content-Encoding": "gzip"})
        return Response(self.body, headers=self.headers)


class Dashboard:
    """An ASGI application for paths that no route has: `app.router.default = Dashboard(directory, app.router.default)`.

    A file is given by its path; any other path that names no file (`/ops`) gets the page, which knows what to show there.
    Everything is read at the start, so no path can reach outside.

    Raises:
        TiercastError: there is no page in `directory`.
    """

    def __init__(self, directory: Path, otherwise: ASGIApp) -> None:
        files = sorted(file for file in directory.rglob("*") if file.is_file())
        names = {file.relative_to(directory).as_posix(): file for file in files}
        if PAGE not in names:
            raise TiercastError(f"GATEWAY_DASHBOARD_DIR: there is no {PAGE} in {directory}; build the dashboard first")
        self._assets = {f"/{name}": Asset.read(file, name) for name, file in names.items()}
        self._page = self._assets[f"/{PAGE}"]
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asset = self._find(scope["path"]) if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} else None
        answer: ASGIApp = self._otherwise if asset is None else asset.answer(Request(scope))
        await answer(scope, receive, send)

    def _find(self, path: str) -> Asset | None:
        if path.startswith(RESERVED):
            return None
        names_a_file = "." in path.rpartition("/")[2]
        return self._assets.get(path) or (None if names_a_file else self._page)
