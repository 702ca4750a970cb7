"""Prints a token, good for twelve hours, signed by the secret of the gateway it runs beside: `make_token.py USER [SCOPE]`."""

import os
import sys
import time

from joserfc import jwt
from joserfc.jwk import OctKey

SECONDS = 12 * 3600


def main() -> None:
    """Sign with what the gateway itself demands."""
    user, *scopes = sys.argv[1:]
    now = int(time.time())
    claims = {
        "sub": user,
        "iss": os.environ["GATEWAY_JWT_ISSUER"],
        "aud": os.environ["GATEWAY_JWT_AUDIENCE"],
        "iat": now,
        "exp": now + SECONDS,
    } | ({"scope": scopes[0]} if scopes else {})
    print(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(os.environ["GATEWAY_JWT_SECRET"])))


if __name__ == "__main__":
    main()
