"""Logs and the metrics endpoint.

One line per event: JSON for machines, coloured text in a terminal. `correlation_id` follows a signal, or a tier change,
through every service that handles it.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, start_http_server

from tiercast_shared.errors import TiercastError

QUIET_LIBRARIES = (
    "uvicorn.access",
    "aiormq",
    "aio_pika",
    "httpx",
    "httpcore",
    "picows",
    "faststream",
    "sqlalchemy",
    "alembic",
)
"""Their own lines say less than ours, or say what must not be logged (a URL with a token in it); warnings pass."""


def configure_logging(service: str, *, level: str = "info", log_format: str = "auto") -> None:
    """Send structlog's and the standard library's records to standard output in one form."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stdout.isatty())
    shared: list[Any] = [
        Sparing(),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_service(service),
    ]
    if as_json:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # they hold tokens and keys
        shared.append(structlog.processors.ExceptionRenderer(transformer))
    renderer = (
        structlog.processors.JSONRenderer(_dumps)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)  # each attempt at a broker that is away


class Sparing:
    """Lets an event that is tried again and again through once in `once_in` seconds, for the same reason.

    Loops that retry twice a second say so: `log.warning("…, will try again", reason=…, once_in=30)`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[object, object], float] = {}

    def __call__(self, _logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A processor of structlog."""
        seconds = event.pop("once_in", None)
        if seconds is not None:
            key, now = (event.get("event"), event.get("reason")), self._clock()
            if now - self._said.get(key, float("-inf")) < seconds:
                raise structlog.DropEvent
            self._said[key] = now
        return event


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """A logger whose methods take an event and its fields: `log.info("signal accepted", seq=7)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


@contextmanager
def metrics_server(registry: CollectorRegistry, *, host: str, port: int) -> Iterator[None]:
    """Serve `/metrics` on a port of its own, from a thread, so that it answers even when the event loop is busy.

    Raises:
        TiercastError: the port cannot be had.
    """
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise TiercastError(f"cannot serve metrics on {host}:{port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _name_service(service: str) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


def _dumps(event: object, **_options: object) -> str:
    return orjson.dumps(event, default=str).decode()
