"""Whether a broker answers over AMQP."""

from urllib.parse import urlsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

from tiercast_local.ports import LOOPBACK, accepts

NO_CONNECTION = (AMQPError, AMQPConnectorException, OSError)  # all that pika raises when it cannot connect
ANSWER_WITHIN = 3.0  # seconds for each step of the handshake


def answers(url: str) -> bool:
    """Tell whether a connection to the broker can be opened now."""
    parts = urlsplit(url)
    if not accepts(parts.port or 5672, parts.hostname or LOOPBACK):
        return False  # asked first, because pika logs errors and leaks a socket when it is refused
    try:
        pika.BlockingConnection(_parameters(url)).close()
    except NO_CONNECTION:
        return False
    return True


def version(url: str) -> str:
    """Return the version the broker tells."""
    with pika.BlockingConnection(_parameters(url)) as connection:
        return str(connection._impl.server_properties["version"])  # noqa: SLF001 -- pika shows it nowhere else


def _parameters(url: str) -> pika.URLParameters:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = ANSWER_WITHIN
    return parameters
