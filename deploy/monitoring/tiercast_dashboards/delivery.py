"""Are users served? The promise, and what it depends on."""

from tiercast_dashboards.dashboard import Dashboard, Row
from tiercast_dashboards.expressions import mean, quantile, rate, within
from tiercast_dashboards.panel import Panel, Query

DELIVERY = "tiercast_gateway_delivery_seconds"
HOPS = "tiercast_gateway_hop_seconds"
OBJECTIVE = [("red", None), ("orange", 0.995), ("green", 0.999)]

PROMISE = Row(
    "The promise: signals reach their users within 500 ms",
    [
        Panel(
            "Delivered within 500 ms",
            "Share of deliveries, over the time shown, that took at most 500 ms from ingest's receipt. Good: 99.9 % or more. "
            "No value: nobody is connected, or no signals come.",
            "percentunit",
            [Query(within("0.5", DELIVERY, window="$__range"), "all tiers")],
            kind="stat",
            width=6,
            height=6,
            thresholds=[*OBJECTIVE],
            decimals=3,
        ),
        Panel(
            "Delivered within 500 ms, by tier",
            "The same for each tier. Good: 99.9 % or more for each. One bad tier points at entitlement, all of them at the way.",
            "percentunit",
            [Query(within("0.5", DELIVERY, "tier", window="$__range"), "{{tier}}")],
            kind="stat",
            width=10,
            height=6,
            thresholds=[*OBJECTIVE],
            decimals=3,
        ),
        Panel(
            "Error budget left",
            "Of the 0.1 % of deliveries that may be late within 30 days, what is left. Good: above 50 %. "
            "At 0 % the promise is broken.",
            "percentunit",
            [Query(f"1 - (1 - ({within('0.5', DELIVERY, window='30d')})) / 0.001", "left")],
            kind="stat",
            width=4,
            height=6,
            thresholds=[("red", None), ("orange", 0.2), ("green", 0.5)],
            decimals=1,
        ),
        Panel(
            "Alerts firing",
            "Good: a 0 alone. Else the name of each alert, a heading of docs/runbook.md, and for how many replicas or tiers it "
            "fires.",
            "short",
            [Query('count by (alertname) (ALERTS{alertstate="firing"}) or on () vector(0)', "{{alertname}}")],
            kind="stat",
            width=4,
            height=6,
            thresholds=[("green", None), ("red", 1)],
        ),
        Panel(
            "Late deliveries by tier",
            "Share of deliveries slower than 500 ms. Good: below the line at 0.1 %. A short peak is a restart of something; "
            "a plateau is an alert.",
            "percentunit",
            [Query(f"1 - {within('0.5', DELIVERY, 'tier')}", "{{tier}}")],
            width=12,
            thresholds=[("green", None), ("red", 0.001)],
        ),
        Panel(
            "Deliveries per second",
            "Signals written to sockets, by replica. Good: follows signals times sockets. 0 while signals come and clients are "
            "connected is bad.",
            "ops",
            [Query(rate("tiercast_gateway_deliveries_total", "instance"), "{{instance}}")],
            width=12,
        ),
    ],
)

LATENCY = Row(
    "Latency",
    [
        Panel(
            "From receipt to delivery",
            "Median and 99th percentile by tier. Good: p99 below 50 ms. 500 ms is the promise.",
            "s",
            [
                Query(quantile(0.5, DELIVERY, "tier"), "{{tier}} p50"),
                Query(quantile(0.99, DELIVERY, "tier"), "{{tier}} p99"),
            ],
            thresholds=[("green", None), ("red", 0.5)],
        ),
        Panel(
            "Where the time goes (mean)",
            "Means of the hops, stacked: database (received to committed), publisher (to published), RabbitMQ (to consumed), hub "
            "and sockets (to written). Good: each a few milliseconds. The one that grows is the one to look at.",
            "s",
            [Query(mean(HOPS, "hop", labels='{hop!="received_written"}'), "{{hop}}")],
            stacked=True,
        ),
        Panel(
            "Slowest hundredth of each hop",
            "99th percentile by hop. Good: below 50 ms each. Hops between services compare two clocks: a constant offset of many "
            "milliseconds is NTP, not load.",
            "s",
            [Query(quantile(0.99, HOPS, "hop"), "{{hop}}")],
        ),
        Panel(
            "All deliveries by duration",
            "How deliveries spread over durations. Good: one dark band at the bottom. A second band above it is a replica, or a "
            "hop, that differs.",
            "s",
            [Query(f"sum by (le) (increase({DELIVERY}_bucket[$__rate_interval]))", "{{le}}")],
            kind="heatmap",
            width=24,
        ),
    ],
)

CONNECTIONS = Row(
    "Connections",
    [
        Panel(
            "Sockets by tier",
            "Open connections. Good: as usual at this hour. A fall to STARTER of all others at once is a tier lease that ended.",
            "short",
            [Query("sum by (tier) (tiercast_gateway_connections)", "{{tier}}")],
            stacked=True,
        ),
        Panel(
            "Sockets by replica",
            "Good: about equal. After a restart clients come back to whoever is there, and even out as they reconnect.",
            "short",
            [Query("sum by (instance) (tiercast_gateway_sockets)", "{{instance}}")],
        ),
        Panel(
            "Slow clients",
            "Open connections that are not live: paused (do not read), catching_up, backfilling (from the log), ahead. "
            "Good: few, and not for long. Many paused ones share a cause outside.",
            "short",
            [
                Query(
                    'sum by (flow) (tiercast_gateway_connection_flows{flow!~"live|detached"})',
                    "{{flow}}",
                )
            ],
        ),
        Panel(
            "Memory per socket",
            "Resident memory divided by sockets, base included: falls as sockets come. Good: towards 15 kB from 10,000 sockets on. "
            "Growth at a constant number is a leak.",
            "bytes",
            [
                Query(
                    'process_resident_memory_bytes{job="gateway"} / on (job, instance) (tiercast_gateway_sockets > 0)',
                    "{{instance}}",
                )
            ],
        ),
        Panel(
            "Handshakes",
            "Upgrades to WebSocket asked for, and refused in HTTP. Good: few are refused. A peak of all is a reconnect storm; "
            "`flood` is one address, `not_ready` a replica that starts or drains.",
            "ops",
            [
                Query("sum(rate(tiercast_gateway_handshakes_total[$__rate_interval]))", "asked for"),
                Query(rate("tiercast_gateway_refusals_total", "refusal"), "refused: {{refusal}}"),
            ],
        ),
        Panel(
            "Sockets closed by the gateway",
            "By close code. Good: 4001 (drain) and 4003 (token expired) only. 4002 is clients that do not read, "
            "4004 ones that are gone, 4500 bad tokens, 4502 too many connections of one user.",
            "ops",
            [
                Query(f"{rate('tiercast_gateway_closes_total', 'code')} > 0", "{{code}}"),
                Query("sum(rate(tiercast_gateway_closes_total[$__rate_interval]))", "all"),
            ],
        ),
        Panel(
            "Told to resynchronise",
            "Sockets told that not all they missed can be replayed, by why. Good: 0. `feed_recreated` is a new epoch, "
            "`cursor_too_old` clients that were away for long, `log_unavailable` is ingest.",
            "ops",
            [Query(rate("tiercast_gateway_resyncs_total", "problem"), "{{problem}}")],
        ),
        Panel(
            "Limits",
            "Connections ended (evicted) and refused because their user has too many, and polling requests above a tier's limit. "
            "Good: near 0. Many evictions: a shared token, or a client that leaks connections.",
            "ops",
            [
                Query("sum(rate(tiercast_gateway_evictions_total[$__rate_interval]))", "evicted"),
                Query("sum(rate(tiercast_gateway_connections_refused_total[$__rate_interval]))", "refused"),
                Query(rate("tiercast_gateway_requests_limited_total", "tier"), "requests {{tier}}"),
            ],
        ),
        Panel(
            "Streams of server-sent events",
            "Open streams, by replica. Good: few beside sockets; a shift from sockets to streams is a proxy that breaks them.",
            "short",
            [Query("sum by (instance) (tiercast_gateway_streams)", "{{instance}}")],
        ),
        Panel(
            "Replicas draining",
            "Replicas that send their clients away before they end. Good: 0, and 1 at a time in a rolling update.",
            "short",
            [Query("sum(tiercast_gateway_draining)", "draining")],
        ),
        Panel(
            "Users connected",
            "Users with at least one connection, by replica. Good: near the number of sockets; far below it, users hold many each.",
            "short",
            [Query("sum by (instance) (tiercast_gateway_users)", "{{instance}}")],
        ),
    ],
)

ENTITLEMENT = Row(
    "Entitlement",
    [
        Panel(
            "Tier lease left",
            "For how long tiers may still be trusted without news. Good: close to 30 s. At 0 everyone is served as STARTER.",
            "s",
            [Query("min by (instance) (tiercast_gateway_tier_lease_seconds)", "{{instance}}")],
            thresholds=[("red", None), ("green", 15)],
            maximum=30,
        ),
        Panel(
            "Changes of tier, until they take effect",
            "From the change in the tiers service to its effect on connections. Good: below 100 ms. No value: no changes.",
            "s",
            [
                Query(quantile(0.5, "tiercast_gateway_tier_change_seconds"), "p50"),
                Query(quantile(0.99, "tiercast_gateway_tier_change_seconds"), "p99"),
            ],
        ),
        Panel(
            "Look-ups of users",
            "Requests to the tiers service, batched. Good: none fail. Failing ones leave new users as STARTER.",
            "ops",
            [Query(rate("tiercast_gateway_tier_lookups_total", "outcome"), "{{outcome}}")],
        ),
    ],
)

DASHBOARD = Dashboard(
    "tiercast-delivery",
    "Tiercast: Delivery",
    "Whether users get their signals in time, and what keeps them from it.",
    [PROMISE, LATENCY, CONNECTIONS, ENTITLEMENT],
)
