"""The RabbitMQ that the tests use, and a virtual host of it for each test."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx

from tests.support.http import http_get, sync_http
from tiercast_local import amqp
from tiercast_local.errors import Missing


@dataclass
class VirtualHost:
    """A namespace of its own on the broker: queues, exchanges and permissions."""

    url: str
    _api: httpx.Client

    @property
    def name(self) -> str:
        return urlsplit(self.url).path[1:]

    def url_for(self, user: str) -> str:
        """Create a broker user who may do everything in this virtual host, and return that user's URL."""
        password = secrets.token_hex(8)
        self._api.put(f"users/{quote(user)}", json={"password": password, "tags": ""}).raise_for_status()
        self._permit(user)
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{quote(user)}:{password}@{parts.hostname}:{parts.port}").geturl()

    def create(self) -> None:
        self._api.put(f"vhosts/{self.name}").raise_for_status()
        self._permit(urlsplit(self.url).username or "guest")

    def delete(self) -> None:
        self._api.delete(f"vhosts/{self.name}").raise_for_status()

    def _permit(self, user: str) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._api.put(f"permissions/{self.name}/{quote(user)}", json=everything).raise_for_status()


class Broker:
    """A running RabbitMQ: `url` of its default virtual host, and its management API."""

    def __init__(self, origin: str, url: str, api_url: str, close: Callable[[], None]) -> None:
        self.url, self.api_url = url, api_url
        self._api = sync_http(base_url=api_url, timeout=30)
        self._close = close
        self.description = f"{origin} {amqp.version(url)}"

    def virtual_host(self) -> VirtualHost:
        """Make a fresh virtual host (40 ms)."""
        url = urlsplit(self.url)._replace(path=f"/t-{secrets.token_hex(6)}").geturl()
        host = VirtualHost(url, self._api)
        host.create()
        return host

    def close(self) -> None:
        self._api.close()
        self._close()


def management_api(amqp_url: str, told: str | None) -> str:
    """Return the management API's URL: the one told, else port 15672 of the broker.

    Raises `Missing` when nothing answers there: without it a test could have no virtual host of its own.
    """
    parts = urlsplit(amqp_url)
    login = f"{parts.username or 'guest'}:{parts.password or 'guest'}"
    url = (told or f"http://{login}@{parts.hostname}:15672/api").rstrip("/") + "/"
    try:
        http_get(f"{url}whoami", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        raise Missing(
            "the broker of TEST_AMQP_URL must have the management plugin, for each test makes a virtual host;"
            f" set TEST_RABBITMQ_API_URL if it is not at port 15672 ({error})"
        ) from error
    return url
