"""The producer in Node publishes what the others publish."""

import json
from pathlib import Path

import pika
import pytest

from tests.support.node import Node, NodeFailed
from tests.support.producers import INBOUND, submission

PUBLISH = Path(__file__).parents[2] / "e2e" / "node" / "publish.mjs"


def test_a_message_from_node_has_the_properties_that_ingest_asks_for(node: Node, amqp_url: str) -> None:
    signal = submission()
    parameters = pika.URLParameters(amqp_url)
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.exchange_declare(INBOUND, "direct", durable=True)
        with pytest.raises(NodeFailed, match="no queue is bound"):
            node.run(PUBLISH, amqp_url, json.dumps(signal), parameters.credentials.username, "demo")
        channel.queue_declare(INBOUND, exclusive=True)
        channel.queue_bind(INBOUND, INBOUND, INBOUND)

        node.run(PUBLISH, amqp_url, json.dumps(signal), parameters.credentials.username, "demo")

        _, properties, body = channel.basic_get(INBOUND, auto_ack=True)

    assert json.loads(body) == signal
    assert properties.user_id == parameters.credentials.username
    assert properties.message_id == signal["signal_id"]
    assert properties.delivery_mode == 2
    assert properties.content_type == "application/json"
    assert properties.headers == {"x-producer": "demo"}
