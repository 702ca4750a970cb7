"""The floors of the polling benchmark: an empty FastAPI route, and one that verifies a token and answers nothing.

python -m tests.bench.polling_floor PORT SECRET
"""

import sys
import time
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, Response
from joserfc import jwt
from joserfc.jwk import OctKey


def application(secret: str) -> FastAPI:
    """Three routes: `/empty`, `/verified`, and `/token` that gives what the second asks for."""
    app, key, claims = FastAPI(), OctKey.import_key(secret), jwt.JWTClaimsRegistry()

    @app.get("/empty")
    async def empty() -> Response:
        return Response()

    @app.get("/verified")
    async def verified(authorization: Annotated[str, Header()]) -> Response:
        claims.validate(jwt.decode(authorization.removeprefix("Bearer "), key, algorithms=["HS256"]).claims)
        return Response()

    @app.get("/token")
    async def token() -> Response:
        return Response(jwt.encode({"alg": "HS256"}, {"sub": "bench", "exp": int(time.time()) + 3600}, key))

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False)
