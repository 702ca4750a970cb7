"""The edge on both event loops, one server for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.integration.gateway.edge_server import LOOPS, EdgeServer


@pytest.fixture(scope="module", params=LOOPS)
def edge(request: pytest.FixtureRequest) -> Iterator[EdgeServer]:
    with EdgeServer(request.param) as server:
        yield server
