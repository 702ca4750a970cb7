"""What the gateway logs at its most talkative: never a token, and nothing that clients could fill a disk with."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.gateway.raw_client import CLOSE, TEXT, RawSocket, close_payload, frame, request
from tests.unit.gateway.doubles import token

ROOT = Path(__file__).parents[3]
SERVER = """
import sys
from tiercast_gateway import app  # everything that sets up a logger of its own is imported before, as in production
from tiercast_shared.observability import configure_logging
from tests.integration.gateway.edge_server import EdgeServer, QuickHead

configure_logging("gateway", level="debug", log_format="json")
broken = []

def refusal():
    if broken:
        raise RuntimeError("cannot decide")

with EdgeServer("uvloop", http=QuickHead, refusal=refusal) as server:
    print(f"port={server.port}", flush=True)
    sys.stdin.readline()
    broken.append(True)
    print("broken", flush=True)
    sys.stdin.read()
"""
GOOD, BAD = token("canary", iat=0, exp=2_000_000_000), token("canary", exp=1)


class Process:
    """A gateway's edge as a process of its own, told over its standard input."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.lines: list[str] = []
        self.port = int(self.read_until("port=").removeprefix("port="))

    def read_until(self, start: str) -> str:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if line.startswith(start):
                return line
            self.lines.append(line)
        raise AssertionError(f"it ended: {self.lines}")

    def break_down(self) -> None:
        """From now on it fails to decide about upgrades."""
        assert self._child.stdin is not None
        self._child.stdin.write("break\n")
        self._child.stdin.flush()
        self.read_until("broken")

    def end(self) -> None:
        output, _ = self._child.communicate(timeout=30)
        self.lines += output.splitlines(keepends=True)
        assert self._child.returncode == 0, self.lines


@contextmanager
def process() -> Iterator[Process]:
    child = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with child:
        try:
            yield Process(child)
        finally:
            child.kill()


def requests_with_tokens() -> list[bytes]:
    """Good and bad tokens at every place of good and bad requests."""
    upgrades = [
        request(f"/ws/signals?token={canary}{more}", headers)
        for canary in (GOOD, BAD)
        for more, headers in (
            ("", {}),
            ("", {"Authorization": f"Bearer {canary}"}),
            ("", {"Sec-WebSocket-Protocol": f"tiercast.v1, bearer.{canary}"}),
            ("&symbols=no%20symbol", {}),
            ("&cursor=x", {}),
            ("", {"Origin": "https://evil.com"}),
            ("", {"Sec-WebSocket-Version": "8"}),
            ("", {"Sec-WebSocket-Key": "x"}),
            ("", {"Sec-WebSocket-Key": canary}),
            ("", {"Cookie": f"a={canary}" + "c" * 20_000}),
        )
    ]
    others = [
        request(f"/elsewhere?token={GOOD}"),
        request(f"/ws/signals?token={GOOD}", method="POST"),
        f"GET /ws/stats?token={GOOD} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"GET /ws/stats?token={GOOD} HTTP/9.9\r\n\r\n".encode(),
        f"Bearer {GOOD}\r\n\r\n".encode(),
        f"GET /ws/signals?token={GOOD} HTTP/1.1\r\nHost".encode(),
    ]
    return upgrades + others


def offences() -> list[bytes]:
    return [
        frame(3, b"x"),
        frame(TEXT, b"x", masked=False),
        frame(TEXT, b"x" * 70_000),
        frame(TEXT, b"\xff"),
        frame(CLOSE, close_payload(1005)),
        frame(TEXT, b"nonsense") * 3,
    ]


@pytest.fixture(scope="module")
def log() -> list[str]:
    """What a gateway has logged after all of this."""
    with process() as gateway:
        for raw in requests_with_tokens():
            with RawSocket(gateway.port) as client:
                client.send(raw)
                with contextlib.suppress(EOFError):
                    status, _ = client.answer()
                    if status == 101:
                        client.message()
        with RawSocket(gateway.port) as client:
            client.upgrade()
            client.say(type="auth", token=GOOD)
            client.message("connected")
            client.say(type="nonsense", token=GOOD)
            client.say(type="auth", token=BAD)
            client.closed()
        for offence in offences() * 5:
            with RawSocket(gateway.port) as client:
                client.upgrade()
                client.send(offence)
                client.closed()
        gateway.break_down()
        with RawSocket(gateway.port) as client:
            client.send(request(f"/ws/signals?token={GOOD}", {"Authorization": f"Bearer {GOOD}"}))
            assert client.answer()[0] == 500
        gateway.end()
        return gateway.lines


@pytest.mark.parametrize("canary", [GOOD, BAD], ids=["good", "bad"])
def test_no_token_is_ever_logged_whichever_way_it_came(log: list[str], canary: str) -> None:
    assert log
    for part in canary.split("."):
        assert [line for line in log if part in line] == []


def test_a_fault_of_ours_is_logged(log: list[str]) -> None:
    assert [line for line in log if "cannot decide" in line]


def test_what_clients_do_wrong_is_not_logged_line_by_line(log: list[str]) -> None:
    loud = [json.loads(line) for line in log if '"level":"error"' in line or '"level":"critical"' in line]

    assert [line["event"] for line in loud] == ["an upgrade request could not be handled"]
