"""The system's processes with nothing in them but what carries a signal on: the four bare steps, as services.

    python -m tests.bench.bare_services ingest PORT AMQP_URL DATABASE
    python -m tests.bench.bare_services gateway PORT AMQP_URL [MISSED]

`ingest` answers a POST when it has committed the body (SQLite, WAL, synchronous FULL) and the broker has confirmed it;
`gateway` takes any WebSocket, sends it `connected` and as many signals as it is told were missed, then each body to all. Neither
checks, numbers, hashes, filters or resumes anything.
They use the libraries that the services use: uvicorn, aio-pika, picows, uvloop.
"""

import sys
from collections.abc import Callable
from typing import Any

import aio_pika
import uvicorn
import uvloop
from picows import WSListener, WSTransport, ws_create_server
from picows.picows import WSUpgradeRequest

from tests.bench.bare_log import bare_log
from tiercast_gateway.frames import text_frame
from tiercast_local.ports import LOOPBACK

EXCHANGE = "bench.bare_services"
SIGNAL_BYTES = 650
"""A body is made as long as what Tiercast sends of a signal."""
CONNECTED = text_frame(b'{"type":"connected","data":"%s"}' % (b"x" * 400))
MISSED_SIGNAL = text_frame(b'{"type":"new_signal","data":"%s"}' % (b"x" * SIGNAL_BYTES))


async def ingest(port: int, amqp_url: str, database: str) -> None:
    """Commit, publish, answer."""
    rows = bare_log(database)
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            message = await receive()
            if message["type"] == "http.disconnect":  # the benchmark is over
                return
            body = message["body"]
            rows.execute("INSERT INTO log (body) VALUES (?)", (body,))
            await exchange.publish(aio_pika.Message(body), "")
            await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        config = uvicorn.Config(app, host=LOOPBACK, port=port, lifespan="off", log_level="error", access_log=False)
        await uvicorn.Server(config).serve()


async def gateway(port: int, amqp_url: str, missed: str = "0") -> None:
    """Consume, and send to all."""
    first = CONNECTED + MISSED_SIGNAL * int(missed)
    transports: dict[WSTransport, Callable[[bytes], object]] = {}

    class Member(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            write = transports[transport] = transport.underlying_transport.write
            write(first)

        def on_ws_disconnected(self, transport: WSTransport) -> None:
            del transports[transport]

    def join(_request: WSUpgradeRequest) -> WSListener:
        return Member()

    async def send(message: Any) -> None:
        frame = text_frame(b'{"type":"new_signal","data":%s}' % message.body.ljust(SIGNAL_BYTES))
        for write in transports.values():
            write(frame)

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.FANOUT)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange)
        await queue.consume(send, no_ack=True)
        server = await ws_create_server(join, LOOPBACK, port)
        await server.serve_forever()


def main() -> None:
    service, port, *rest = sys.argv[1:]
    uvloop.run(ingest(int(port), *rest) if service == "ingest" else gateway(int(port), *rest))


if __name__ == "__main__":
    main()
