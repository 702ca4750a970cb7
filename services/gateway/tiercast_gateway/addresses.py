"""Which address a request comes from, behind proxies too. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(names: Iterable[str]) -> tuple[Network, ...]:
    """Networks by their names, such as `10.0.0.0/8`; a bare address is a network of one.

    Raises:
        ValueError: a name is none, and is quoted.
    """
    return tuple(ip_network(name, strict=False) for name in names)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The nearest address that is not one of our proxies; of IPv6 the /64, which one client has as a whole.

    `X-Forwarded-For` is read from its end, and only as far as each hop that speaks is a trusted proxy: what stands before is what
    anybody may have sent.
    """
    hops = [hop.strip() for header in forwarded_for for hop in header.split(",")]
    address = peer
    while hops and _is_in(address, trusted):
        address = hops.pop()
    found = _address(address)
    if found is None:
        return peer  # a proxy of ours sent nonsense, or the peer is a Unix socket
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


def _is_in(address: str, trusted: Sequence[Network]) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in trusted)


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 that comes through a socket for both (`::ffff:192.0.2.1`) is itself again."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
