"""Database statements on the way of a signal from the broker to a socket: counted, not claimed.

    python -m tests.bench.statements [--sockets 1000] [--signals 1000]

Both owners of a database are stopped (SIGSTOP) while signals go from the broker to every socket, and PostgreSQL is asked before and
after when each of its sessions last began a statement. The gateway has no connection to a database to begin with.
"""

import argparse
import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.bench.crowd import Crowd
from tests.bench.figures import Figure, report
from tests.bench.system import client_urls, system
from tests.bench.workspace import workspace
from tests.e2e.test_delivery_path import DATABASE_DRIVERS, last_statements, publish_events
from tests.support.producers import standard
from tests.support.stack import Stack

WITHIN = 60.0


async def template(stack: Stack) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """One signal that went the usual way: the log's head, the signal and the headers of its event."""
    assert (await stack.publish(standard())).status_code == httpx.codes.CREATED
    async with httpx.AsyncClient(base_url=stack.ingest.url, headers={"X-Service-Key": stack.service_key}) as http:
        page = (await http.get("/api/v1/log")).json()
    entry = page["entries"][0]
    kept = ("feed", "symbol", "received_at", "committed_at")
    usual = {"epoch": page["epoch"], "schema": 1, "type": "signal.published"}
    return page["head"], entry["data"], {name: entry[name] for name in kept} | usual


async def statements_during(stack: Stack, crowd: Crowd, signals: int) -> tuple[int, int]:
    """Statements begun by any session of either database while `signals` go to every socket, and the deliveries."""
    head, data, headers = await template(stack)
    await asyncio.to_thread(crowd.read, 5, lambda: crowd.tally.deliveries >= len(crowd))
    crowd.reset()
    stack.ingest.pause()
    stack.tiers.pause()
    try:
        before = [await last_statements(url) for url in (stack.ingest_database, stack.tiers_database)]
        reading = asyncio.create_task(
            asyncio.to_thread(crowd.read, WITHIN, lambda: crowd.tally.deliveries >= signals * len(crowd))
        )
        await publish_events(stack, head, data, headers, signals)
        await reading
        after = [await last_statements(url) for url in (stack.ingest_database, stack.tiers_database)]
    finally:
        stack.ingest.resume()
        stack.tiers.resume()
    if not all(before):
        raise SystemExit("no session of a database is seen: nothing can be counted")
    begun = sum(
        1
        for earlier, later in zip(before, after, strict=True)
        for session in set(later) - set(earlier)
        if session is not None
    )
    return begun, crowd.tally.deliveries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--signals", type=int, default=1000)
    options = parser.parse_args()
    with ExitStack() as cleanup:
        directory, backends = cleanup.enter_context(workspace())
        stack = cleanup.enter_context(system(directory, backends, database="postgresql"))
        crowd = Crowd()
        crowd.connect(client_urls(stack, options.sockets))
        begun, deliveries = asyncio.run(statements_during(stack, crowd, options.signals))
        loaded = {Path(mapped.path).name.lower() for mapped in psutil.Process(stack.gateway.pid).memory_maps()}
    drivers = [name for name in loaded if any(driver in name for driver in DATABASE_DRIVERS)]
    expected = options.signals * options.sockets
    report(
        "statements",
        [
            Figure("statements begun", "", [begun], 6, f"for {deliveries:,} deliveries", target="0", met=begun == 0),
            Figure("deliveries meanwhile", "", [deliveries], None, "asked for", [expected], met=deliveries == expected),
            Figure("database drivers in the gateway's memory", "", [len(drivers)], None, target="0", met=not drivers),
        ],
        options=vars(options),
    )


if __name__ == "__main__":
    main()
