"""The upgrade request of `/ws/signals`: who is let in, and with which token."""

from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs, unquote_plus

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from tiercast_gateway.handshake_limits import HandshakeLimits
from tiercast_shared.observability import get_logger

PATH = "/ws/signals"
REFUSALS = ("path", "origin", "version", "not_ready", "flood", "error")
SUBPROTOCOL = "tiercast.v1"
BEARER_PREFIX = "bearer."

log = get_logger()


class Handshake:
    """Decides about upgrades. What had to be known of picows 2.3.1 stands beside each line that needs it."""

    def __init__(
        self,
        listener: Callable[[str | None, Mapping[str, list[str]]], WSListener],
        *,
        allowed_origins: frozenset[str],
        refusal: Callable[[], str | None],
        limits: HandshakeLimits | None = None,
    ) -> None:
        self._listener = listener
        self._allowed_origins = allowed_origins
        self._refusal = refusal
        self._limits = limits
        self.asked = 0
        """Upgrades asked for so far."""
        self.refused: Counter[str] = Counter()
        """Those refused in HTTP, by why."""

    def accept(self, request: WSUpgradeRequest, peer: str = "") -> WSUpgradeResponseWithListener:
        """Decide about an upgrade; never raises (picows would send the exception's text, token included, as a 500)."""
        try:
            self.asked += 1
            return self._accept(request, peer)
        except Exception:
            log.exception("an upgrade request could not be handled")
            return self._refuse("error", HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")

    def _accept(self, request: WSUpgradeRequest, peer: str) -> WSUpgradeResponseWithListener:
        path, _, query = request.path.decode("latin-1").partition("?")
        if path != PATH:
            return self._refuse("path", HTTPStatus.NOT_FOUND, f"WebSockets are served at {PATH}")
        origins = request.headers.getall("origin", [])  # a browser names one, others none
        if not self._allowed_origins.issuperset(origins):
            return self._refuse("origin", HTTPStatus.FORBIDDEN, "this Origin is not allowed (GATEWAY_ALLOWED_ORIGINS)")
        if request.headers.get("sec-websocket-version") != "13":  # picows would take two drafts as well
            return self._refuse(
                "version", HTTPStatus.UPGRADE_REQUIRED, "this is version 13", {"Sec-WebSocket-Version": "13"}
            )
        refusal = self._refusal()
        if refusal is not None:
            return self._refuse("not_ready", HTTPStatus.SERVICE_UNAVAILABLE, refusal, {"Retry-After": "1"})
        if self._limits is not None and not self._limits.take(peer, request.headers.getall("x-forwarded-for", [])):
            return self._refuse(
                "flood", HTTPStatus.SERVICE_UNAVAILABLE, "too many upgrades from this address", {"Retry-After": "1"}
            )
        if "upgrade" in _tokens(request.headers.get("connection", "")):
            request.headers["connection"] = "upgrade"  # picows knows no lists, and Firefox says "keep-alive, Upgrade"
        protocols = request.headers.get("sec-websocket-protocol", "")
        offered = SUBPROTOCOL in (name.strip() for name in protocols.split(","))
        answer = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if offered else None
        asked = parse_qs(query, keep_blank_values=True)
        listener = self._listener(find_token(request.headers, asked), asked)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(answer), listener)

    def _refuse(
        self, why: str, status: HTTPStatus, reason: str, headers: dict[str, str] | None = None
    ) -> WSUpgradeResponseWithListener:
        self.refused[why] += 1
        return _answer(status, reason, headers)


def find_token(headers: Mapping[str, str], query: Mapping[str, list[str]]) -> str | None:
    """The token in a request, in order of preference: Authorization, subprotocol, query."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    for name in headers.get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith(BEARER_PREFIX):
            return unquote_plus(name.strip().removeprefix(BEARER_PREFIX))
    return (query.get("token") or [""])[-1] or None


def _tokens(header: str) -> set[str]:
    return {token.strip().lower() for token in header.split(",")}


def _answer(status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_error_response(
        status, reason.encode(), {"Connection": "close", **(headers or {})}
    )
    return WSUpgradeResponseWithListener(response, None)
