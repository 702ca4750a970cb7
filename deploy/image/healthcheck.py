"""Asks the service in this container how it is; exits with 0 if all is well. The path may be given: `/readyz`."""

import http.client
import os
import sys

PORTS = {"ingest": 8001, "tiers": 8002, "gateway": 8000}
TIMEOUT_SECONDS = 3


def main() -> int:
    """Ask once, and say on standard output what is wrong."""
    service = os.environ["TIERCAST_SERVICE"]
    port = int(os.environ.get(f"{service.upper()}_PORT") or PORTS[service])
    path = sys.argv[1] if len(sys.argv) > 1 else "/healthz"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(4096).decode(errors="replace")
    except OSError as error:
        print(f"{path} on port {port}: {error}")
        return 1
    print(f"{answer.status} {text}")
    return 0 if answer.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    raise SystemExit(main())
