"""The port of `/metrics`."""

import socket

import pytest
from prometheus_client import CollectorRegistry, Counter

from tests.support.http import http_get
from tiercast_local.ports import free_port
from tiercast_shared.errors import TiercastError
from tiercast_shared.observability import metrics_server


def test_metrics_are_served_while_it_is_open_and_the_port_is_given_back():
    registry, port = CollectorRegistry(), free_port()
    Counter("answers", "", registry=registry).inc(42)
    for _ in range(2):
        with metrics_server(registry, host="127.0.0.1", port=port):
            assert "answers_total 42.0" in http_get(f"http://127.0.0.1:{port}/metrics").text


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(TiercastError, match=rf"cannot serve metrics on 127\.0\.0\.1:{port}: Address already in use"),
            metrics_server(CollectorRegistry(), host="127.0.0.1", port=port),
        ):
            pass
