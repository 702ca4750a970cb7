"""From a producer to the gateways: ingest, queues, logs, publishers."""

from tiercast_dashboards.dashboard import Dashboard, Row
from tiercast_dashboards.expressions import mean, quantile, rate
from tiercast_dashboards.panel import Panel, Query

COMMIT = "tiercast_ingest_received_to_committed_seconds"
PUBLISH = "tiercast_log_publish_seconds"

INGEST = Row(
    "Ingest",
    [
        Panel(
            "Signals accepted",
            "New signals per second. Good: as usual at this hour. 0 means that producers are silent, or all is refused.",
            "ops",
            [Query(rate("tiercast_ingest_signals_accepted_total", "transport, type"), "{{transport}} {{type}}")],
            stacked=True,
        ),
        Panel(
            "Submissions refused for good",
            "By reason. Good: 0. One producer who errs is its own affair; a new reason from all of them is a release.",
            "ops",
            [
                Query(f"{rate('tiercast_ingest_signals_rejected_total', 'reason')} > 0", "{{reason}}"),
                Query("sum(rate(tiercast_ingest_signals_rejected_total[$__rate_interval]))", "all"),
            ],
        ),
        Panel(
            "Repeated and postponed",
            "Repeated: were in the log already, which is harmless. Postponed: could not be stored at once. Good: postponed is 0.",
            "ops",
            [
                Query(rate("tiercast_ingest_signals_duplicates_total", "transport"), "repeated {{transport}}"),
                Query(rate("tiercast_ingest_signals_postponed_total", "transport"), "postponed {{transport}}"),
            ],
        ),
        Panel(
            "From receipt to commit",
            "Time to store a signal, batching included. Good: p99 below 50 ms. Growth is the database.",
            "s",
            [Query(quantile(0.5, COMMIT), "p50"), Query(quantile(0.99, COMMIT), "p99")],
        ),
        Panel(
            "Signals per commit",
            "Mean size of a batch. Good: 1 when idle, more under load: that is how throughput grows. "
            "INGEST_MAX_BATCH for long is saturation.",
            "short",
            [Query(mean("tiercast_ingest_batch_size", "instance"), "{{instance}}")],
        ),
        Panel(
            "Waiting for a commit",
            "Submissions that wait for their transaction. Good: near 0. A plateau is a database that does not keep up.",
            "short",
            [Query("sum by (instance) (tiercast_ingest_waiting_submissions)", "{{instance}}")],
        ),
    ],
)

QUEUES = Row(
    "Queues",
    [
        Panel(
            "signals.inbound",
            "Ready: in the queue and taken by nobody. In flight: taken, not settled. "
            "Good: ready near 0, in flight below INGEST_PREFETCH.",
            "short",
            [
                Query("max(tiercast_ingest_inbound_ready_messages)", "ready"),
                Query("sum(tiercast_ingest_inbound_in_flight_messages)", "in flight"),
            ],
        ),
        Panel(
            "Oldest message in flight",
            "For how long ingest has held a message. Good: below 1 s. Growth by a second each second: the database is away.",
            "s",
            [Query("max by (instance) (tiercast_ingest_inbound_oldest_seconds)", "{{instance}}")],
        ),
        Panel(
            "Replicas consuming",
            "Good: as many as there are replicas of ingest. 0: signals over AMQP wait.",
            "short",
            [Query("sum(tiercast_ingest_inbound_consuming)", "replicas")],
        ),
        Panel(
            "Dead letters arriving",
            "Messages moved to signals.dead, by reason. Good: 0. See `tiercast-ingest dead list`.",
            "ops",
            [
                Query(f"{rate('tiercast_ingest_messages_dead_lettered_total', 'reason')} > 0", "{{reason}}"),
                Query("sum(rate(tiercast_ingest_messages_dead_lettered_total[$__rate_interval]))", "all"),
            ],
            width=12,
        ),
        Panel(
            "Dead letters waiting",
            "Messages in signals.dead, for a person to look at. Good: 0.",
            "short",
            [Query("max(tiercast_ingest_dead_letter_messages)", "messages")],
            width=12,
            thresholds=[("green", None), ("orange", 1)],
        ),
    ],
)

LOGS = Row(
    "Logs and publishers",
    [
        Panel(
            "Entries written",
            "Growth of each log per second, as the database knows it. Good: follows what is accepted.",
            "ops",
            [Query("max by (log) (rate(tiercast_log_head[$__rate_interval]))", "{{log}}")],
        ),
        Panel(
            "Log lag in rows",
            "Committed and not yet published. Good: below 100, back to 0 within a second.",
            "short",
            [Query("max by (log) (tiercast_log_unpublished_entries)", "{{log}}")],
        ),
        Panel(
            "Log lag in seconds",
            "Age of the oldest entry that is not published; looked at once a second. Good: 0. Above 5 s is an alert.",
            "s",
            [Query("max by (log) (tiercast_log_lag_seconds)", "{{log}}")],
            thresholds=[("green", None), ("red", 5)],
        ),
        Panel(
            "Who publishes",
            "1 for the replica that holds a log's lease. Good: one line at 1 for each log. None: nothing is published.",
            "short",
            [Query("tiercast_log_publisher_holder", "{{log}} {{instance}}")],
            maximum=1,
        ),
        Panel(
            "From commit to publication",
            "Good: p99 below 50 ms. Growth is RabbitMQ, or its disk.",
            "s",
            [Query(quantile(0.5, PUBLISH, "log"), "{{log}} p50"), Query(quantile(0.99, PUBLISH, "log"), "{{log}} p99")],
        ),
        Panel(
            "Database statements",
            "Sent by each service. Good: far fewer than signals under load, and the same however many clients are connected.",
            "ops",
            [
                Query("sum(rate(tiercast_ingest_sql_statements_total[$__rate_interval]))", "ingest"),
                Query("sum(rate(tiercast_tiers_sql_statements_total[$__rate_interval]))", "tiers"),
            ],
        ),
    ],
)

GATEWAYS = Row(
    "What gateways have of it",
    [
        Panel(
            "Positions missing",
            "Entries that are known to exist and were not applied. Good: 0 but for moments; a gap is fetched from the log.",
            "short",
            [
                Query("max by (instance) (tiercast_gateway_feed_missing)", "signals {{instance}}"),
                Query("max by (instance) (tiercast_gateway_tier_log_missing)", "tiers {{instance}}"),
            ],
        ),
        Panel(
            "Silence",
            "Seconds since ingest's last beacon (feed), and since anything was consumed (consumer). Good: at most 1 s. "
            "From 2 s the consumer is replaced, from 3 s clients are told `stale`.",
            "s",
            [
                Query("max by (instance) (tiercast_gateway_feed_silent_seconds)", "feed {{instance}}"),
                Query("max by (instance) (tiercast_gateway_consumer_silent_seconds)", "consumer {{instance}}"),
            ],
            thresholds=[("green", None), ("red", 3)],
        ),
        Panel(
            "Consumers replaced",
            "By reason: silence (nothing came), returned (the queue is gone), broker (the connection is). Good: 0.",
            "short",
            [
                Query(
                    "sum by (reason) (increase(tiercast_gateway_consumer_restarts_total[$__rate_interval]))",
                    "{{reason}}",
                )
            ],
        ),
        Panel(
            "Signals in memory",
            "The rings that clients resume from, by feed. Good: at GATEWAY_RING_CAPACITY once so many were sent. "
            "Less, and more clients need the log.",
            "short",
            [Query("min by (feed) (tiercast_gateway_ring_signals)", "{{feed}}")],
        ),
        Panel(
            "Signals applied",
            "By the smallest feed that carries them, for each replica. Good: all replicas alike.",
            "ops",
            [Query(rate("tiercast_gateway_signals_total", "instance, feed"), "{{instance}} {{feed}}")],
        ),
        Panel(
            "Stale replicas",
            "Replicas that tell their clients `stale`. Good: 0.",
            "short",
            [Query("sum(tiercast_gateway_feed_stale)", "stale")],
        ),
    ],
)

DASHBOARD = Dashboard(
    "tiercast-pipeline",
    "Tiercast: Pipeline",
    "How signals and changes of tier come from their producers to the gateways.",
    [INGEST, QUEUES, LOGS, GATEWAYS],
)
