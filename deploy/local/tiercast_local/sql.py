"""Single PostgreSQL statements from code without an event loop of its own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg


def fetch_value(url: str, statement: str) -> object:
    """Run `statement` on a session of its own and return its first value; `url` names no driver.

    Works in a thread apart, so that it may be called while this thread runs an event loop.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _fetch_value(url, statement)).result()


async def _fetch_value(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
