"""What `make up` prints when everything runs."""

from collections.abc import Mapping

from tiercast_local.broker import Broker, without_password
from tiercast_local.local_services import GATEWAY, INGEST, TIERS, metrics_url, url
from tiercast_local.users import OPS


def summary(values: Mapping[str, str], broker: Broker, tokens: Mapping[str, str], *, dashboard: bool) -> str:
    """Return addresses, who can be signed in as, and what to try next, as lines of text.

    `tokens` are by tier, and one for operations; with a dashboard, they are given as links that open it signed in.
    """
    socket = url(GATEWAY, values).replace("http", "ws", 1)
    addresses = {
        service.name: f"{url(service, values)}/docs    metrics {metrics_url(service, values)}"
        for service in (GATEWAY, INGEST, TIERS)
    } | {
        "stream": f"{socket}/ws/signals",
        "broker": f"{without_password(broker.url)}  ({broker.description})",
    }
    lines = [
        "",
        "Tiercast is up.",
        "",
        *(f"  {name:<9} {address}" for name, address in addresses.items()),
        "",
        *(_links(url(GATEWAY, values), tokens) if dashboard else _tokens(tokens)),
        "",
        "  make demo              send signals made from real prices",
        "  make watch TIER=pro    show a user's live stream",
        "  make token SUB=alice TIER=elite",
        "",
        "Keys and addresses are in .data/dev.env. Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines)


def _links(address: str, tokens: Mapping[str, str]) -> list[str]:
    """A browser keeps what is behind `#` to itself, and the page takes it out of the address at once."""
    pages = {name: f"{address}/{OPS if name == OPS else ''}#token={token}" for name, token in tokens.items()}
    return ["  Open the dashboard, signed in as", *(f"  {name:<9} {page}" for name, page in pages.items())]


def _tokens(tokens: Mapping[str, str]) -> list[str]:
    return [f"  token of user {tier:<8} {token}" for tier, token in tokens.items() if tier != OPS]
