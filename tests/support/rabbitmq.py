"""The RabbitMQ that the tests use, and a virtual host of it for each test."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
import pika

# What the services declare and a test could find left over where it cannot have a virtual host of its own.
DURABLE_QUEUES = ("signals.inbound", "signals.dead")
DURABLE_EXCHANGES = ("signals.inbound", "signals.events", "signals.dead", "tiers.events", "gateway.presence")


@dataclass
class VirtualHost:
    """A namespace of its own on the broker: queues, exchanges and permissions."""

    url: str
    _api: httpx.Client | None = None

    @property
    def name(self) -> str:
        return urlsplit(self.url).path[1:]

    def url_for(self, user: str) -> str:
        """Create a broker user who may do everything in this virtual host, and return that user's URL."""
        if self._api is None:
            raise RuntimeError("other broker users need the management API: set TEST_RABBITMQ_API_URL")
        password = secrets.token_hex(8)
        _ok(self._api.put(f"users/{quote(user)}", json={"password": password, "tags": ""}))
        self._permit(user)
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{quote(user)}:{password}@{parts.hostname}:{parts.port}").geturl()

    def create(self) -> None:
        if self._api is not None:
            _ok(self._api.put(f"vhosts/{self.name}"))
            self._permit(urlsplit(self.url).username or "guest")
        else:
            self.delete()

    def delete(self) -> None:
        if self._api is not None:
            _ok(self._api.delete(f"vhosts/{self.name}"))
            return
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            for queue in DURABLE_QUEUES:
                channel.queue_delete(queue)
            for exchange in DURABLE_EXCHANGES:
                channel.exchange_delete(exchange)

    def _permit(self, user: str) -> None:
        assert self._api is not None
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        _ok(self._api.put(f"permissions/{self.name}/{quote(user)}", json=everything))


class Broker:
    """A running RabbitMQ: `url` of its default virtual host and, where there is one, its management API."""

    def __init__(self, origin: str, url: str, api_url: str | None, close: Callable[[], None]) -> None:
        self.url = url
        self._api = httpx.Client(base_url=api_url, timeout=30) if api_url else None
        self._close = close
        self.description = f"{origin} {_version(url)}"

    def virtual_host(self) -> VirtualHost:
        """Make a fresh virtual host; without a management API, the URL's own one, emptied."""
        url = self.url
        if self._api is not None:
            url = urlsplit(self.url)._replace(path=f"/t-{secrets.token_hex(6)}").geturl()
        host = VirtualHost(url, self._api)
        host.create()
        return host

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
        self._close()


def management_api(amqp_url: str, told: str | None) -> str | None:
    """Return the management API's URL: the one told, else port 15672 of the broker if it answers there."""
    parts = urlsplit(amqp_url)
    guess = f"http://{parts.username}:{parts.password}@{parts.hostname}:15672/api/"
    if told:
        return told.rstrip("/") + "/"
    try:
        return guess if httpx.get(f"{guess}whoami", timeout=2).is_success else None
    except httpx.HTTPError:
        return None


def _ok(response: httpx.Response) -> None:
    response.raise_for_status()


def _version(url: str) -> str:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        return str(connection._impl.server_properties["version"])
