"""What `make up` prints when everything runs."""

from collections.abc import Mapping

from tiercast_local.broker import Broker, without_password
from tiercast_local.local_services import GATEWAY, INGEST, TIERS, metrics_url, url


def summary(values: Mapping[str, str], broker: Broker, tokens: Mapping[str, str]) -> str:
    """Return addresses, tokens and what to try next, as lines of text."""
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
        *(f"  token of user {tier:<8} {token}" for tier, token in tokens.items()),
        "",
        "  make demo              send signals made from real prices",
        "  make watch TIER=pro    show a user's live stream",
        "  make token SUB=alice TIER=elite",
        "",
        "Keys and addresses are in .data/dev.env. Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines)
