"""Tells the other replicas who is connected here. What they tell comes with all events (`consumers`)."""

import asyncio
from contextlib import suppress

from tiercast_gateway.presence import Presence
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.messaging.broker import BROKER_ERRORS, OutgoingEvent, Outlet
from tiercast_shared.messaging.topology import GATEWAY_PRESENCE

PRESENCE = "gateway.presence"
"""AMQP type of a report."""

REPORT_SECONDS = 1.0
SPACING_SECONDS = 0.1
"""A change is told after this time, together with all that have happened meanwhile."""

FULL_EVERY = 10
"""Every so many quiet reports tell everything anew, in case one was lost."""


class PresenceExchange:
    """Publishes reports for as long as it runs. While the broker is away, each replica limits for itself."""

    def __init__(self, url: str, presence: Presence) -> None:
        self._url = url
        self._presence = presence
        self._news = asyncio.Event()
        presence.on_news = self._news.set

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            with suppress(*BROKER_ERRORS):
                async with Outlet.open(
                    self._url, GATEWAY_PRESENCE, name=f"{self._presence.replica} presence"
                ) as outlet:
                    await self._report(outlet)
            await asyncio.sleep(REPORT_SECONDS)

    async def _report(self, outlet: Outlet) -> None:
        beats = 0
        while True:
            self._news.clear()
            report = self._presence.report(full=beats % FULL_EVERY == 0)
            await outlet.publish([presence_event(report)])
            beats += await self._next()

    async def _next(self) -> int:
        """Wait until a report is due; returns 1 if nothing has happened until then."""
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                await self._news.wait()
        except TimeoutError:
            return 1
        await asyncio.sleep(SPACING_SECONDS)
        return 0


def presence_event(report: GatewayPresence) -> OutgoingEvent:
    """A report as it is published."""
    return OutgoingEvent(report.model_dump_json(by_alias=True).encode(), {"type": PRESENCE}, type=PRESENCE)
