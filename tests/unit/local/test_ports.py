"""A port that cannot be used is told, with the variable that overrides it, before anything starts."""

import socket

import pytest

from tiercast_local.errors import LocalError
from tiercast_local.local_services import SERVICES, require_free_ports
from tiercast_local.ports import free_port


def ports(**told: str) -> dict[str, str]:
    free = {name: str(free_port()) for service in SERVICES for name in service.ports({})}
    return free | told


def test_no_port_is_given_twice() -> None:
    # The kernel alone repeats some dozens of them.
    assert len({free_port() for _ in range(2000)}) == 2000


def test_free_ports_are_accepted() -> None:
    require_free_ports(ports())


def test_every_port_has_a_default_and_a_variable() -> None:
    defaults = {name: port for service in SERVICES for name, port in service.ports({}).items()}

    assert defaults == {
        "INGEST_PORT": "8001",
        "INGEST_METRICS_PORT": "9101",
        "TIERS_PORT": "8002",
        "TIERS_METRICS_PORT": "9102",
        "GATEWAY_PORT": "8000",
        "GATEWAY_METRICS_PORT": "9100",
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_told_with_its_variable(address: str) -> None:
    with socket.socket() as server:
        server.bind((address, 0))
        server.listen()
        taken = str(server.getsockname()[1])
        with pytest.raises(LocalError, match=f"port {taken} is taken.*TIERS_METRICS_PORT"):
            require_free_ports(ports(TIERS_METRICS_PORT=taken))


def test_every_wrong_port_is_told_at_once() -> None:
    same = str(free_port())
    with pytest.raises(LocalError) as told:
        require_free_ports(ports(GATEWAY_PORT="eighty", INGEST_PORT=same, TIERS_PORT=same))

    assert "GATEWAY_PORT=eighty is not a port" in str(told.value)
    assert f"TIERS_PORT and INGEST_PORT are both {same}" in str(told.value)
