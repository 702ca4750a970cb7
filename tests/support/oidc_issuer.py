"""An OpenID provider of our own: a real HTTP server that publishes keys, and tokens signed with them."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, RSAKey

Answer = Callable[[BaseHTTPRequestHandler], None]


class OidcIssuer:
    """A context manager. `rotate` makes a new key, `answer` replaces what is served; `asked` lists all paths asked for."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.algorithm = algorithm
        self.keys: list[RSAKey | ECKey] = []
        self.asked: list[str] = []
        self.answer: Answer | None = None
        self.rotate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                (issuer.answer or issuer.publish)(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="issuer"
        )

    @property
    def url(self) -> str:
        """Its name in tokens (`iss`)."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def jwks_url(self) -> str:
        """Where its keys are."""
        return f"{self.url}/keys"

    def rotate(self, *, keep: bool = True) -> None:
        """Sign with a new key from now on; with `keep`, the others stay published."""
        name: KeyParameters = {"kid": f"key-{time.monotonic_ns()}", "use": "sig"}
        new = (
            RSAKey.generate_key(2048, parameters=name)
            if self.algorithm == "RS256"
            else ECKey.generate_key("P-256", parameters=name)
        )
        self.keys = [*(self.keys if keep else []), new]

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A token signed with the newest key; None leaves a claim out."""
        key = self.keys[-1]
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": self.algorithm, "kid": key.kid, **header}, present, key, algorithms=[self.algorithm])

    def token(self, user: str, audience: object, **claims: Any) -> str:
        """A token for `user` and `audience`, good for ten minutes unless `claims` say otherwise."""
        now = int(time.time())
        usual = {"iss": self.url, "sub": user, "aud": audience, "iat": now, "exp": now + 600}
        return self.sign(usual | claims)

    def key_set(self) -> bytes:
        """The JWKS."""
        return orjson.dumps({"keys": [key.as_dict(private=False) for key in self.keys]})

    def publish(self, request: BaseHTTPRequestHandler) -> None:
        """Answer with the JWKS, as usual."""
        reply(request, self.key_set())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def reply(request: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Answer a request whole."""
    request.send_response(status)
    for name, value in ({"Content-Type": "application/json"} | headers).items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
