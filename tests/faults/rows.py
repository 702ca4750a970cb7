"""The promises, as the design's table names them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    number: int
    promise: str
    fault: str


ROWS = {
    row.number: row
    for row in (
        Row(
            1,
            "accepted (2xx or AMQP ack) ⇒ in the log, and delivered to every entitled client that is connected or resumes",
            "`kill -9` of a random service every 2–5 s under load, 3 gateways",
        ),
        Row(
            2,
            "every commit edge is crash-safe",
            "exit after commit, after publish before confirm, after confirm before the cursor moves, after apply before ack",
        ),
        Row(
            3,
            "the broker may die",
            "kill and restart, application stop, all connections closed, freeze, dropped packets",
        ),
        Row(4, "a blocked broker neither loses nor deadlocks", "memory alarm"),
        Row(5, "no silently dead consumer", "queue deleted, channel error, exclusive queue held, ingest stopped"),
        Row(6, "the log has no holes and no forks", "concurrent writers on 3 replicas, held transactions, rollbacks"),
        Row(7, "one publisher; a zombie is harmless", "SIGSTOP of the lease's holder, its database session terminated"),
        Row(
            8,
            "a lost database degrades, never lies",
            "sessions terminated, immediate stop, table locked, disk full; on PostgreSQL and SQLite",
        ),
        Row(
            9,
            "resume is complete or says that it is not",
            "clients cut and resumed on another replica, wrong epoch, cursor too old or from the future",
        ),
        Row(
            10,
            "premium never reaches STARTER",
            "canary in each premium body; flapping users; tier events duplicated, dropped, reordered; tiers killed",
        ),
        Row(11, "a slow consumer harms only itself", "50 clients stop reading beside 500 healthy ones"),
        Row(12, "drain without loss or herd", "SIGTERM of one of 3 replicas under load"),
        Row(
            13,
            "idempotent ingest",
            "100 concurrent identical submissions, same key with other content, HTTP and AMQP at once",
        ),
        Row(14, "poison cannot block", "1 % malformed messages, database away, 20 consumer kills"),
        Row(
            15,
            "WebSocket conformance",
            "RFC 6455 against the production edge: fragments, reserved bits and opcodes, UTF-8 at every split, masks, close "
            "codes, control frames, limits",
        ),
        Row(16, "HTTP robustness", "schemathesis over the OpenAPI documents, fixed seed"),
        Row(
            17,
            "all interleavings",
            "seeded schedules of writer, publisher, gateway, tier cache and resume under random crash, duplicate, reorder "
            "and drop, then healing, in simulated time",
        ),
    )
}
