"""What each service's broker user may do, and RabbitMQ's definitions of that.

    python -m tiercast_shared.messaging.permissions [--vhost /] [--producer NAME …] [--as ROLE=USER …]

prints definitions to be imported (`load_definitions`, or `POST /api/definitions`): for each user its permissions and, if the
environment has `<USER>_BROKER_PASSWORD` (upper case, `_` for anything but letters and digits), the user with that password.

Nobody may use the default exchange: who may publish to it reaches every queue by its name, past the exchange in front of it.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tiercast_shared.messaging.topology import (
    GATEWAY_QUEUES,
    SIGNALS_DEAD,
    SIGNALS_EVENTS,
    SIGNALS_INBOUND,
    TIERS_EVENTS,
)

PRODUCER = "producer"

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Permissions:
    """Names of exchanges and queues; one that ends in a dot stands for all that begin so.

    To bind a queue takes `write` on the queue and `read` on the exchange.
    """

    configure: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    def patterns(self) -> dict[str, str]:
        """RabbitMQ's three regular expressions."""
        return {"configure": _pattern(self.configure), "write": _pattern(self.write), "read": _pattern(self.read)}


INBOUND = (SIGNALS_INBOUND, SIGNALS_DEAD)
EVENTS = (SIGNALS_EVENTS, TIERS_EVENTS)
GATEWAYS = (GATEWAY_QUEUES,)  # its exchanges' names begin so too

PERMISSIONS: Mapping[str, Permissions] = {
    "ingest": Permissions(configure=(*INBOUND, SIGNALS_EVENTS), write=(*INBOUND, SIGNALS_EVENTS), read=INBOUND),
    "tiers": Permissions(configure=(TIERS_EVENTS,), write=(TIERS_EVENTS,)),
    # it declares the exchanges that it listens to, so that it may start before their owners, but cannot publish to them
    "gateway": Permissions(configure=(*EVENTS, *GATEWAYS), write=GATEWAYS, read=(*EVENTS, *GATEWAYS)),
    PRODUCER: Permissions(write=(SIGNALS_INBOUND,)),
}
"""By role. Whatever is not named here is refused by the broker."""


def definitions(roles: Mapping[str, str], passwords: Mapping[str, str], vhost: str = "/") -> Json:
    """RabbitMQ's definitions for `roles` (role by user) in `vhost`; users without a password are taken to exist."""
    granted = [{"user": user, "vhost": vhost, **PERMISSIONS[role].patterns()} for user, role in roles.items()]
    made = [_user(user, passwords[user]) for user in roles if user in passwords]
    return {"users": made, "vhosts": [{"name": vhost}], "permissions": granted}


def _pattern(names: Iterable[str]) -> str:
    parts = [re.escape(name) + (".+" if name.endswith(".") else "") for name in names]
    return f"^({'|'.join(parts)})$" if parts else "^$"


def _user(name: str, password: str) -> Json:
    salt = secrets.token_bytes(4)  # as rabbit_password_hashing_sha256 wants it
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": digest,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": {},
    }


def password_variable(user: str) -> str:
    """The environment variable with a user's password."""
    return re.sub(r"[^A-Z0-9]", "_", user.upper()) + "_BROKER_PASSWORD"


def main(arguments: list[str] | None = None) -> None:
    """Print the definitions."""
    parser = argparse.ArgumentParser(prog="python -m tiercast_shared.messaging.permissions")
    parser.add_argument("--vhost", default="/", help="virtual host that everything is in")
    parser.add_argument("--producer", action="append", default=[], metavar="NAME", help="a user that sends signals")
    parser.add_argument(
        "--as", action="append", default=[], metavar="ROLE=USER", dest="renamed", help="another user name"
    )
    given = parser.parse_args(arguments)
    names = dict(pair.split("=", 1) for pair in given.renamed if "=" in pair)
    if unknown := names.keys() - PERMISSIONS.keys() | {pair for pair in given.renamed if "=" not in pair}:
        parser.error(f"--as: ROLE=USER with one of {', '.join(PERMISSIONS)}, not {', '.join(sorted(unknown))}")
    roles = {names.get(role, role): role for role in PERMISSIONS if role != PRODUCER}
    roles |= dict.fromkeys(given.producer, PRODUCER)
    passwords = {user: os.environ[password_variable(user)] for user in roles if password_variable(user) in os.environ}
    json.dump(definitions(roles, passwords, given.vhost), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
