"""A web application whose users sign in through NextAuth 4 and Auth.js 5: `tests/e2e/node/application.mjs`, running."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.http import http_get
from tests.support.node import Node
from tests.support.ports import lasting_port
from tiercast_local.child import Child
from tiercast_local.ports import LOOPBACK

SCRIPT = Path(__file__).parents[1] / "e2e" / "node" / "application.mjs"
READY_WITHIN = 60.0  # seconds


class Application:
    """Its address and secret are known before it runs."""

    def __init__(self, node: Node, log: Path) -> None:
        self._node = node
        self._log = log
        self._port = lasting_port()
        self.secret = secrets.token_urlsafe(32)

    @property
    def origin(self) -> str:
        """As a browser says it."""
        return f"http://{LOOPBACK}:{self._port}"

    @contextmanager
    def running(self, gateway: str) -> Iterator[None]:
        """Serve, with `gateway` under the same origin, as long as the block lasts."""
        own = {"PORT": str(self._port), "GATEWAY": gateway, "APPLICATION_SECRET": self.secret}
        child = Child([str(self._node.executable), str(SCRIPT)], env={"PATH": os.environ["PATH"], **own}, log=self._log)
        try:
            self._wait(child)
            yield
        finally:
            child.stop()

    def _wait(self, child: Child) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while child.alive() and time.monotonic() < deadline:
            try:
                http_get(self.origin, timeout=2).raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"the application does not run:\n{self._log.read_text()}")
