"""What a client says on its socket, and what it is answered. Pure."""

from collections.abc import Callable
from typing import Literal

from tiercast_gateway.connection import Connection, Flow, State
from tiercast_gateway.credentials import Credentials
from tiercast_gateway.feed import SignalFeed
from tiercast_gateway.frames import encode
from tiercast_gateway.hub import Hub
from tiercast_gateway.inbox import EVERYTHING, BadMessage, added, parse, removed
from tiercast_gateway.registry import Registry
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import (
    ClientAuth,
    ClientPing,
    ClientSubscribe,
    ErrorFrame,
    Heartbeat,
    ServerFrame,
    Subscribed,
)

MAX_STRIKES = 3
MESSAGES_SECONDS = 5.0
"""Messages are counted over this long, so that a burst is no flood."""


class Dialogue:
    """Answers messages, and says a word when there is silence."""

    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        feed: SignalFeed,
        credentials: Credentials,
        *,
        clock: Callable[[], float],
        messages_per_second: int | None = None,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._feed = feed
        self._credentials = credentials
        self._clock = clock
        self._most = None if messages_per_second is None else messages_per_second * MESSAGES_SECONDS

    def received(self, connection: Connection, payload: str) -> None:
        """One whole text message."""
        if connection.state is State.CLOSED:
            return
        if self._most is not None and self._count(connection) > self._most:
            self._registry.close(connection, CloseCode.BAD_REQUEST, "too many messages", error="too_many_messages")
            return
        try:
            self._handle(connection, parse(payload))
        except BadMessage as error:
            self._strike(connection, str(error))

    def beat(self, connection: Connection) -> None:
        """Send a JSON `ping`, unless its transport is full."""
        if connection.state is State.OPEN and connection.flow is not Flow.PAUSED:
            _send(connection, self._heartbeat(connection, "ping"))

    def _handle(self, connection: Connection, message: ClientPing | ClientAuth | ClientSubscribe) -> None:
        if isinstance(message, ClientAuth):
            self._credentials.present(connection, message.token)
        elif connection.state is State.AUTHENTICATING:
            raise BadMessage('authenticate first: {"type":"auth","token":…}')
        elif isinstance(message, ClientSubscribe):
            change = added if message.type == "subscribe" else removed
            symbols = change(connection.symbols, message.symbols)
            self._hub.change(connection, feed=connection.feed, symbols=symbols)
            _send(connection, Subscribed(symbols=[EVERYTHING] if symbols is None else sorted(symbols)))
        elif message.type == "ping":
            _send(connection, self._heartbeat(connection, "pong"))

    def _count(self, connection: Connection) -> int:
        now = self._clock()
        if now - connection.counting_since >= MESSAGES_SECONDS:
            connection.counting_since, connection.messages = now, 0
        connection.messages += 1
        return connection.messages

    def _strike(self, connection: Connection, problem: str) -> None:
        connection.strikes += 1
        if connection.strikes >= MAX_STRIKES:
            self._registry.close(connection, CloseCode.BAD_REQUEST, problem[:100], error="bad_message")
        else:
            _send(connection, ErrorFrame(code="bad_message", message=problem))

    def _heartbeat(self, connection: Connection, kind: Literal["ping", "pong"]) -> Heartbeat:
        seq = self._feed.rings[connection.feed].seq
        return Heartbeat(type=kind, server_timestamp=self._clock(), seq=seq)


def _send(connection: Connection, frame: ServerFrame) -> None:
    connection.send(encode(frame))
