"""Requests and resources of each service."""

from tiercast_dashboards.dashboard import Dashboard, Row, query_variable
from tiercast_dashboards.expressions import quantile, rate
from tiercast_dashboards.panel import Panel, Query

JOB = '{job=~"$job"}'
REQUESTS = 'tiercast_http_requests_total{job=~"$job"'

STATE = Row(
    "State",
    [
        Panel(
            "Replicas up",
            "Replicas that answer Prometheus. Good: as many as were started.",
            "short",
            [Query(f"sum by (job) (up{JOB})", "{{job}}")],
            kind="stat",
            height=5,
        ),
        Panel(
            "Checks that fail",
            "Readiness checks that say what is missing (`curl …/readyz`). Good: 0. See docs/runbook.md for each.",
            "short",
            [Query(f"sum by (job, check) (1 - tiercast_ready{JOB})", "{{job}} {{check}}")],
            kind="stat",
            height=5,
            thresholds=[("green", None), ("red", 1)],
        ),
        Panel(
            "Versions",
            "What runs. Good: one version of each service, two during a rolling update.",
            "short",
            [Query(f"sum by (service, version) (tiercast_build_info{JOB})")],
            kind="table",
            height=5,
        ),
    ],
)

REQUEST = Row(
    "HTTP requests",
    [
        Panel(
            "Rate by route",
            "Answers per second. `other` is what no route matches: scanners, and clients that err. Good: as usual.",
            "reqps",
            [Query(rate(f"tiercast_http_requests_total{JOB}", "job, route"), "{{job}} {{route}}")],
        ),
        Panel(
            "Failing requests",
            "Share of answers of 5xx. Good: 0. 503 is said on purpose while something is away; 500 is logged as an error.",
            "percentunit",
            [
                Query(
                    f'sum by (job) (rate({REQUESTS}, status="5xx"}}[$__rate_interval])) '
                    f"/ {rate(f'tiercast_http_requests_total{JOB}', 'job')}",
                    "{{job}}",
                )
            ],
            thresholds=[("green", None), ("red", 0.05)],
        ),
        Panel(
            "Refused requests",
            "Answers of 4xx per second. Good: few. A jump of 401 is an expired key or token, of 429 a client without patience.",
            "reqps",
            [
                Query(
                    f'sum by (job, route) (rate({REQUESTS}, status="4xx"}}[$__rate_interval])) > 0', "{{job}} {{route}}"
                )
            ],
        ),
        Panel(
            "Duration by route",
            "99th percentile until the answer begins. Good: below 50 ms; ledger proofs and backfills take longer.",
            "s",
            [Query(quantile(0.99, "tiercast_http_request_seconds", "job, route", labels=JOB), "{{job}} {{route}}")],
            width=12,
        ),
        Panel(
            "In progress",
            "Requests that are being answered; each stream of server-sent events is one. Good: flat.",
            "short",
            [Query(f"sum by (job, instance) (tiercast_http_requests_in_progress{JOB})", "{{job}} {{instance}}")],
            width=12,
        ),
    ],
)

RESOURCES = Row(
    "Resources",
    [
        Panel(
            "CPU",
            "Cores in use. Each replica has one event loop: good is below 0.8; at 1 it is full and latency grows.",
            "short",
            [Query(f"rate(process_cpu_seconds_total{JOB}[$__rate_interval])", "{{job}} {{instance}}")],
            thresholds=[("green", None), ("red", 0.8)],
        ),
        Panel(
            "Resident memory",
            "Good: flat at a constant number of connections. A steady climb is a leak.",
            "bytes",
            [Query(f"process_resident_memory_bytes{JOB}", "{{job}} {{instance}}")],
        ),
        Panel(
            "Open files",
            "Share of the limit on file descriptors; each socket is one. Good: below 80 %. At 100 % nobody can connect.",
            "percentunit",
            [Query(f"process_open_fds{JOB} / process_max_fds{JOB}", "{{job}} {{instance}}")],
            thresholds=[("green", None), ("red", 0.8)],
        ),
        Panel(
            "Garbage collections",
            "Per second, by generation. Good: generation 2 well below one per minute; each stops the event loop.",
            "ops",
            [
                Query(
                    f"sum by (job, generation) (rate(python_gc_collections_total{JOB}[$__rate_interval]))",
                    "{{job}} {{generation}}",
                )
            ],
        ),
        Panel(
            "Uptime",
            "Since the process began. Good: long, and the same for all. A saw-tooth is a crash loop.",
            "s",
            [Query(f"time() - process_start_time_seconds{JOB}", "{{job}} {{instance}}")],
        ),
        Panel(
            "Scrape duration",
            "How long a replica takes to answer Prometheus. Good: below 100 ms. Growth is a process that has no CPU left.",
            "s",
            [Query(f"scrape_duration_seconds{JOB}", "{{job}} {{instance}}")],
        ),
    ],
)

DASHBOARD = Dashboard(
    "tiercast-services",
    "Tiercast: Services",
    "Rate, errors, duration and resources of ingest, tiers and gateway.",
    [STATE, REQUEST, RESOURCES],
    variables=[query_variable("job", "Service", 'label_values(up{job=~"ingest|tiers|gateway"}, job)')],
)
