"""What each service sends and receives, named by the code's own constants and contracts."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import cast, get_args

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas.queue import QuorumQueueArgs

from docs.asyncapi.document import AmqpChannel, Json, Message, SocketChannel, document
from tiercast_gateway import handshake
from tiercast_gateway.presence_exchange import PRESENCE
from tiercast_ingest.dead_letters import ERROR_HEADER, MESSAGE_ID_HEADER, REASON_HEADER, USER_HEADER
from tiercast_ingest.domain.reasons import REASONS
from tiercast_ingest.domain.sender import PRODUCER_HEADER
from tiercast_shared.contracts.base import Beacon, Contract
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.frames import ClientFrame, ServerFrame
from tiercast_shared.contracts.presence import GatewayPresence
from tiercast_shared.contracts.signals import SIGNAL_PUBLISHED, Signal, SignalEventHeaders
from tiercast_shared.contracts.submissions import SignalSubmission
from tiercast_shared.contracts.tiers import SessionRevoked, TierChanged, TierEventHeaders
from tiercast_shared.eventlog.beacon import BEACON
from tiercast_shared.messaging import topology
from tiercast_shared.messaging.probe import PROBE

GATEWAY_QUEUE = "gateway.{replica}.{random}"
"""Each consumer of each replica takes a new name."""

TRANSIENT: Json = {"deliveryMode": 1}
PERSISTENT: Json = {"deliveryMode": 2, "mandatory": True}


def exchange(name: str) -> RabbitExchange:
    """An exchange as `topology` declares it."""
    fanout = name in {topology.SIGNALS_EVENTS, topology.TIERS_EVENTS, topology.GATEWAY_PRESENCE}
    return RabbitExchange(name, type=ExchangeType.FANOUT if fanout else ExchangeType.DIRECT, durable=True)


def quorum_queue(name: str, arguments: Mapping[str, str | int]) -> RabbitQueue:
    """A queue as `topology` declares it."""
    return RabbitQueue(name, QueueType.QUORUM, arguments=cast("QuorumQueueArgs", {**arguments}))


BEACON_MESSAGE = Message(
    BEACON, Beacon, {"type": "object", "properties": {"type": {"const": BEACON}}, "required": ["type"]}
)

SIGNALS_EVENTS = (Message(SIGNAL_PUBLISHED, Signal, SignalEventHeaders), BEACON_MESSAGE)

TIERS_EVENTS = (
    Message("tier.changed", TierChanged, TierEventHeaders),
    Message("session.revoked", SessionRevoked, TierEventHeaders),
    BEACON_MESSAGE,
)

SUBMISSION = Message(
    "signal.submission",
    SignalSubmission,
    {
        "type": "object",
        "properties": {
            PRODUCER_HEADER: {
                "type": "string",
                "description": "Names the producer; counts only from users in `INGEST_TRUSTED_PUBLISHERS`.",
            }
        },
    },
    summary="A signal from a producer. The AMQP property `user_id` is required; `message_id`, if given, equals `signal_id`.",
)

DEAD_LETTER = Message(
    "signal.dead",
    None,
    {
        "type": "object",
        "properties": {
            REASON_HEADER: {"enum": list(REASONS), "description": "A stable word."},
            ERROR_HEADER: {"type": "string", "description": "The same for people, with the field named."},
            PRODUCER_HEADER: {"type": "string", "description": "Who sent it, if that could be told."},
            USER_HEADER: {"type": "string", "description": "`user_id` as it came."},
            MESSAGE_ID_HEADER: {"type": "string", "description": "`message_id` as it came."},
        },
        "required": [REASON_HEADER, ERROR_HEADER],
    },
    summary="A message that can never be stored: its body untouched, its own headers beside these.",
)

PRESENCE_MESSAGE = Message(PRESENCE, GatewayPresence)

PROBE_MESSAGE = Message(PROBE, None, summary="Empty, known by its AMQP property `type`: does my queue reach me?")


def gateway() -> Json:
    """What a gateway replica consumes, and what it says to clients."""
    own_queue = RabbitQueue(GATEWAY_QUEUE, exclusive=True, auto_delete=True, durable=False)
    return document(
        "Tiercast gateway",
        version("tiercast-gateway"),
        "Keeps the last signals and the tiers of connected users in memory, and sends each client what its tier may see.",
        [
            AmqpChannel(
                topology.SIGNALS_EVENTS,
                "receive",
                exchange(topology.SIGNALS_EVENTS),
                SIGNALS_EVENTS,
                "Every signal, and ingest's beacon. A gap is filled from ingest's log.",
                own_queue,
            ),
            AmqpChannel(
                topology.TIERS_EVENTS,
                "receive",
                exchange(topology.TIERS_EVENTS),
                TIERS_EVENTS,
                "Every change of tier, every revocation, and the tiers service's beacon, on the same queue.",
                own_queue,
            ),
            AmqpChannel(
                topology.GATEWAY_PRESENCE,
                "send",
                exchange(topology.GATEWAY_PRESENCE),
                (PRESENCE_MESSAGE,),
                "Who is connected to this replica: every second, and as soon as it changes. The others' arrive on the same queue.",
                own_queue,
                TRANSIENT,
            ),
            AmqpChannel(
                topology.GATEWAY_PROBES,
                "send",
                exchange(topology.GATEWAY_PROBES),
                (PROBE_MESSAGE,),
                "Every second, by the queue's name, to the replica's own queue.",
                own_queue,
                {**TRANSIENT, "mandatory": True},
            ),
        ],
        SocketChannel(
            name="clients",
            address=handshake.PATH,
            query=QUERY,
            sent=_frames(ServerFrame),
            received=_frames(ClientFrame),
            description="One JSON object in each text frame. 4000-4499: come back, with the cursor; 4500-4999: do not.",
            close_codes={str(code.value): code.name.lower() for code in CloseCode},
        ),
    )


def ingest() -> Json:
    """What ingest takes from producers, and what it publishes."""
    return document(
        "Tiercast ingest",
        version("tiercast-ingest"),
        "Takes signals in, keeps the signal log and publishes it in order.",
        [
            AmqpChannel(
                topology.SIGNALS_INBOUND,
                "receive",
                exchange(topology.SIGNALS_INBOUND),
                (SUBMISSION,),
                "Where producers publish, persistent; acknowledged when the signal is committed.",
                quorum_queue(topology.SIGNALS_INBOUND, topology.INBOUND_ARGUMENTS),
            ),
            AmqpChannel(
                topology.SIGNALS_EVENTS,
                "send",
                exchange(topology.SIGNALS_EVENTS),
                SIGNALS_EVENTS,
                "The signal log in order, with confirms. A signal may come again; then only `published_at` differs.",
                delivery=TRANSIENT,
            ),
            AmqpChannel(
                topology.SIGNALS_DEAD,
                "send",
                exchange(topology.SIGNALS_DEAD),
                (DEAD_LETTER,),
                "What can never be stored, for a person to look at, replay or drop.",
                quorum_queue(topology.SIGNALS_DEAD, topology.DEAD_ARGUMENTS),
                PERSISTENT,
            ),
        ],
    )


def tiers() -> Json:
    """What the tiers service publishes."""
    return document(
        "Tiercast tiers",
        version("tiercast-tiers"),
        "Owns users' tiers and announces their changes.",
        [
            AmqpChannel(
                topology.TIERS_EVENTS,
                "send",
                exchange(topology.TIERS_EVENTS),
                TIERS_EVENTS,
                "The tiers log in order, with confirms. A change may come again; then only the header `published_at` differs.",
                delivery=TRANSIENT,
            )
        ],
    )


QUERY: Json = {
    "type": "object",
    "properties": {
        "symbols": {"type": "string", "description": "Only these symbols, separated by commas."},
        "cursor": {"type": "string", "description": "Resume after this place."},
        "token": {
            "type": "string",
            "description": "The JWT, for clients that can send neither header nor subprotocol.",
        },
    },
}


def _frames(union: object) -> tuple[Message, ...]:
    """The members of an annotated union, each named as its schema is."""
    members: tuple[type[Contract], ...] = get_args(get_args(union)[0])
    return tuple(Message(model.__name__, model) for model in members)
