"""The floor of the latency benchmark: one commit, one confirmed publish, one consume, one send, and nothing else.

    python -m tests.bench.latency_floor AMQP_URL DATABASE RATE SECONDS

Two processes, as in the system: this one commits (SQLite, WAL, synchronous FULL), publishes and reads the socket on its core; its
child consumes and sends on core 0. Prints percentiles in milliseconds as JSON.
"""

import asyncio
import json
import os
import socket
import sys
import time

import aio_pika

from tests.bench.bare_log import bare_log
from tests.bench.load import percentiles_ms
from tests.bench.system import SERVER_CORE

PADDING = b"x" * 650
EXCHANGE = "bench.floor"


async def consume_and_send(amqp_url: str, receiver: socket.socket) -> None:
    """The other process: each message goes to the socket as it comes."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT, auto_delete=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange)
        await queue.consume(lambda message: receiver.sendall(message.body), no_ack=True)  # type: ignore[arg-type, return-value]
        receiver.sendall(b"ready")
        await asyncio.Future()


async def publish(amqp_url: str, database: str, reader: socket.socket, rate: float, seconds: float) -> list[float]:
    """Commit and publish at a steady rate; returns seconds from before the commit to the read, one for each."""
    rows = bare_log(database)
    loop, latencies = asyncio.get_running_loop(), []
    assert await loop.sock_recv(reader, 5) == b"ready"
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT, auto_delete=True)

        async def read() -> None:
            while True:
                message = await loop.sock_recv(reader, 65536)
                latencies.append((time.time_ns() - int(message[:19])) / 1e9)

        reading = asyncio.create_task(read())
        began, end, sent = time.monotonic(), time.monotonic() + seconds, 0
        while time.monotonic() < end:
            body = b"%d%s" % (time.time_ns(), PADDING)
            rows.execute("BEGIN IMMEDIATE")
            rows.execute("INSERT INTO log (body) VALUES (?)", (body,))
            rows.execute("COMMIT")
            await exchange.publish(aio_pika.Message(body), "")
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))
        reading.cancel()
    return latencies


def main() -> None:
    amqp_url, database, rate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    listener = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        os.sched_setaffinity(0, {SERVER_CORE})
        sender = socket.create_connection(listener.getsockname())
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asyncio.run(consume_and_send(amqp_url, sender))
    reader, _ = listener.accept()
    reader.setblocking(False)
    try:
        latencies = asyncio.run(publish(amqp_url, database, reader, rate, seconds))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    print(json.dumps(percentiles_ms(latencies)))


if __name__ == "__main__":
    main()
