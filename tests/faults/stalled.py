"""A client that connects and then reads nothing."""

import base64
import secrets
import socket
from urllib.parse import urlsplit

TINY = 4096


class StalledClient:
    """Its receive buffer is as small as the kernel lets it be."""

    def __init__(self, gateway_url: str, token: str) -> None:
        parts = urlsplit(gateway_url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
        self._socket.settimeout(10)
        self._socket.connect((parts.hostname, parts.port))
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = (
            f"GET /ws/signals HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        assert self._socket.recv(12).endswith(b"101"), "the upgrade was refused"

    def drain(self) -> bytes:
        """Read what is there until nothing more comes for a moment, or the end."""
        parts = []
        self._socket.settimeout(2)
        try:
            while data := self._socket.recv(2**16):
                parts.append(data)
        except (TimeoutError, ConnectionError):
            pass
        return b"".join(parts)

    def close(self) -> None:
        self._socket.close()
