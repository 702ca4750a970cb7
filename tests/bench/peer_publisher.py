"""Publishes messages to Nchan or NATS at a steady rate until it is terminated.

python peer_publisher.py nchan|nats PORT RATE PADDING
"""

import http.client
import socket
import sys
import time
from collections.abc import Callable

LOOPBACK = "127.0.0.1"


def to_nchan(port: int) -> Callable[[bytes], None]:
    """Publish over HTTP, one request at a time."""
    connection = http.client.HTTPConnection(LOOPBACK, port)

    def publish(message: bytes) -> None:
        connection.request("POST", "/publish", message)
        connection.getresponse().read()

    return publish


def to_nats(port: int) -> Callable[[bytes], None]:
    """Publish over NATS' own protocol (docs.nats.io, client protocol)."""
    connection = socket.create_connection((LOOPBACK, port))
    connection.recv(4096)  # INFO
    connection.sendall(b'CONNECT {"verbose":false}\r\n')

    def publish(message: bytes) -> None:
        connection.sendall(b"PUB signals %d\r\n%s\r\n" % (len(message), message))

    return publish


def main() -> None:
    kind, port, rate, padding = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    publish = {"nchan": to_nchan, "nats": to_nats}[kind](port)
    began, sent = time.monotonic(), 0
    while True:
        publish(b'{"type":"new_signal","reasoning":"%d","padding":"%s"}' % (time.time_ns(), b"x" * padding))
        sent += 1
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))


if __name__ == "__main__":
    main()
