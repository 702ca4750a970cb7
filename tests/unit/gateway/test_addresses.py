"""Whose handshake it is, behind proxies too."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiercast_gateway.addresses import client_address, networks
from tiercast_gateway.handshake_limits import HandshakeLimits

PROXIES = networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6", "198.51.100.1, 127.0.0.1"], "198.51.100.1"),
        ("10.1.2.3", ["10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", ["nonsense"], "10.1.2.3"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("::ffff:10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_nearest_address_that_no_proxy_of_ours_has(peer: str, forwarded: list[str], expected: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


@given(
    st.sampled_from(["10.1.2.3", "203.0.113.7", "::ffff:10.1.2.3"]), st.lists(st.text() | st.ip_addresses().map(str))
)
def test_whatever_is_forwarded_is_an_address_or_the_peer(peer: str, forwarded: list[str]) -> None:
    found = client_address(peer, forwarded, PROXIES)
    assert found == peer or ip_network(found)


def test_a_name_that_is_no_network_is_quoted() -> None:
    with pytest.raises(ValueError, match="everywhere"):
        networks(["everywhere"])


def test_a_forged_header_gives_nobody_another_limit() -> None:
    limits = HandshakeLimits(3)
    answers = [limits.take("203.0.113.7", [f"198.51.100.{number}"]) for number in range(10)]
    assert 3 <= sum(answers) <= 6, "three a second, in at most two seconds"
    assert limits.take("203.0.113.8", [])
