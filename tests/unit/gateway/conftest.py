"""Hypothesis as these tests need it, and the token exchange."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from tests.unit.gateway.exchange import Exchange

settings.register_profile("shared machine", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("shared machine")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    exchange = Exchange()
    async with exchange.http:
        yield exchange
