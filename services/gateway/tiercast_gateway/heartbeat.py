"""One sweep over all connections instead of a timer for each."""

import asyncio

from tiercast_gateway.connection import State
from tiercast_gateway.memory import MemoryReturn
from tiercast_gateway.sessions import Sessions
from tiercast_gateway.streams import Streams
from tiercast_shared.contracts.close_codes import CloseCode

SWEEP_SECONDS = 1.0
PER_TURN = 256
"""Connections between two turns of the event loop."""


async def sweep(sessions: Sessions, streams: Streams, memory: MemoryReturn) -> None:
    """Every second, end what is over; runs until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        sessions.sweep()
        streams.sweep()
        memory.look(len(sessions.registry))


async def heartbeat(sessions: Sessions) -> None:
    """Every heartbeat, ping everyone and end who has been silent since the last; runs until cancelled.

    Liveness is judged by protocol PINGs alone, which browsers answer by themselves.
    """
    while True:
        await asyncio.sleep(sessions.heartbeat_seconds)
        await _beat(sessions)


async def _beat(sessions: Sessions) -> None:
    """One beat; a function of its own, so that no connection is held until the next."""
    for count, connection in enumerate(sessions):
        if connection.state is State.CLOSED:
            continue  # it has left since the beat began
        if not connection.wire.ping():
            sessions.close(connection, CloseCode.NO_PONG, "no pong came")
        else:
            sessions.beat(connection)
        if count % PER_TURN == PER_TURN - 1:
            await asyncio.sleep(0)
