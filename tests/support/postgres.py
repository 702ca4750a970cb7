"""The PostgreSQL server that the tests use, and a database of it for each test."""

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from tiercast_local.sql import fetch_value


class Postgres:
    """A running server; `url` (without a driver) is of a user who may create databases."""

    def __init__(self, origin: str, url: str, close: Callable[[], None]) -> None:
        self.url = url
        self._close = close
        self.description = f"{origin} {str(fetch_value(url, 'SHOW server_version')).split()[0]}"

    def create_database(self, template: str = "template1") -> str:
        """Create a database as a copy of `template` (30 ms) and return its `postgresql+asyncpg://` URL."""
        name = f"test_{secrets.token_hex(6)}"
        fetch_value(self.url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return urlsplit(self.url)._replace(scheme="postgresql+asyncpg", path=f"/{name}").geturl()

    def drop_database(self, url: str) -> None:
        """Drop a database made here, ending the sessions that still use it."""
        fetch_value(self.url, f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def close(self) -> None:
        self._close()
