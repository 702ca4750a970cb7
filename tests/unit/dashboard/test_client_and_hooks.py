"""The dashboard's own tests, of its client and its hooks under a fake clock, are in services/dashboard/tests."""

import re

import pytest

from tests.support.backends import Backends
from tiercast_local.dashboard import run_dashboard_tests


@pytest.mark.timeout(400)
def test_client_and_hooks_pass_their_own_tests(backends: Backends) -> None:
    told = re.sub(r"\x1b\[[0-9;]*m", "", run_dashboard_tests())
    passed = re.search(r"Tests +(\d+) passed", told)
    assert passed is not None, told
    backends.summary.append(f"Vitest: {passed[1]} tests of the dashboard's client and hooks")
