"""Gives every service a broker user with its own password and no more rights than the permission matrix names.

Runs in the image of ingest or tiers: RABBITMQ_API, RABBITMQ_VHOST, RABBITMQ_ADMIN_PASSWORD and, for each user,
`<USER>_BROKER_PASSWORD`. Running it again changes what has changed, passwords too.
"""

import base64
import json
import os
import urllib.error
import urllib.request

from tiercast_shared.messaging.permissions import PERMISSIONS, definitions, password_variable

ADMINISTRATOR = "administrator"
TIMEOUT_SECONDS = 10


def main() -> int:
    """Import the definitions once; the container is started again while the broker does not take them."""
    api, vhost = os.environ["RABBITMQ_API"], os.environ["RABBITMQ_VHOST"]
    passwords = {user: os.environ[password_variable(user)] for user in PERMISSIONS}
    wanted = definitions({user: user for user in PERMISSIONS}, passwords, vhost)
    login = f"{ADMINISTRATOR}:{os.environ['RABBITMQ_ADMIN_PASSWORD']}"
    request = urllib.request.Request(
        f"{api}/api/definitions",
        data=json.dumps(wanted).encode(),
        headers={
            "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "Content-Type": "application/json",
        },
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            pass
    except OSError as error:
        reason = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else error
        print(f"the broker at {api} did not take its users: {reason}")
        return 1
    print(f"users and permissions in {vhost!r}: {', '.join(passwords)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
