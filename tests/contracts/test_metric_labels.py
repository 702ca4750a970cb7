"""Labels of metrics come from closed sets, and every series is there from the start.

A label with the name of a user, a symbol, a path or a connection grows for ever, and a series that appears only with its first
event hides that event from `rate()`. What is allowed stands here, in one place.
"""

from collections.abc import Iterable, Iterator
from itertools import product

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.http import http_get
from tests.support.producers import premium, signed, standard
from tests.support.services import Service
from tests.support.stack import Stack
from tiercast_gateway.connection import Flow
from tiercast_gateway.delivery import RESYNC_REASONS
from tiercast_gateway.handshake import REFUSALS
from tiercast_ingest.domain.reasons import REASONS
from tiercast_shared.contracts.close_codes import CloseCode
from tiercast_shared.contracts.signals import Feed, SignalType
from tiercast_shared.contracts.tiers import Tier

TIERS = {tier.value for tier in Tier}

HTTP_STATUS = {"2xx", "3xx", "4xx", "5xx"}

ALLOWED: dict[str, dict[str, set[str]]] = {
    "ingest": {
        "log": {"signals"},
        "check": {"database", "inbound"},
        "status": HTTP_STATUS,
        "generation": {"0", "1", "2"},
        "transport": {"http", "amqp"},
        "type": {kind.value for kind in SignalType},
        "reason": set(REASONS),
    },
    "tiers": {
        "log": {"tiers"},
        "check": {"database"},
        "status": HTTP_STATUS,
        "generation": {"0", "1", "2"},
        "tier": TIERS,
        "outcome": {"applied", "duplicate", "ignored"},
    },
    "gateway": {
        "check": {"draining", "consumer", "signal_feed", "tiers"},
        "log": {"signals", "tiers"},
        "status": HTTP_STATUS,
        "flow": {flow.name.lower() for flow in Flow},
        "tier": TIERS,
        "feed": {feed.value for feed in Feed},
        "hop": {
            "received_committed",
            "committed_published",
            "published_consumed",
            "consumed_written",
            "received_written",
        },
        "reason": {"silence", "returned", "broker"},
        "outcome": {"ok", "failed"},
        "result": {"hit", "miss"},
        "code": {str(code.value) for code in CloseCode},
        "refusal": set(REFUSALS),
        "problem": set(RESYNC_REASONS),
        "generation": {"0", "1", "2"},
    },
}

SHARED_PREFIXES = ("tiercast_http_", "tiercast_log_", "tiercast_build_info", "tiercast_ready", "python_", "process_")
"""Of metrics that several services have, under the same names."""

CONSTANT = {"tiercast_build_info", "python_info"}
"""One series each, whose labels name what runs."""

MOST_SERIES = 1000
"""Of one replica, buckets included."""


@pytest.fixture(scope="module")
def untouched(stack: Stack) -> dict[str, list[Metric]]:
    """The metrics of each service before anything has happened."""
    return {replica.kind: scraped(replica) for replica in stack.services}


@pytest.fixture(params=ALLOWED)
def service(
    request: pytest.FixtureRequest, untouched: dict[str, list[Metric]], stack: Stack
) -> tuple[str, list[Metric], dict[str, set[str]]]:
    """A service's name, its metrics, and the allowed values of its labels."""
    return request.param, untouched[request.param], allowed(replicas(stack)[request.param])


def replicas(stack: Stack) -> dict[str, Service]:
    """One replica of each service."""
    return {"ingest": stack.ingest, "tiers": stack.tiers, "gateway": stack.gateway}


def allowed(replica: Service) -> dict[str, set[str]]:
    """The labels of a service: those above, and `route`, which takes the templates of its own OpenAPI document."""
    paths = http_get(f"{replica.url}/openapi.json").raise_for_status().json()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    return ALLOWED[replica.kind] | {"route": routes | {"other"}}


def series(metric: Metric) -> set[tuple[tuple[str, str], ...]]:
    """The label sets of a metric, without the buckets of a histogram."""
    return {
        tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        for sample in metric.samples
    }


def problems(labels_allowed: dict[str, set[str]], metrics: Iterable[Metric]) -> Iterator[str]:
    """What is wrong with the labels of a service's metrics, a line for each metric."""
    for metric in metrics:
        found = series(metric)
        names = {name for labels in found for name, _ in labels}
        unknown = names - labels_allowed.keys()
        if metric.name in CONSTANT:
            if len(found) != 1:
                yield f"{metric.name}: a constant has one series, not {len(found)}"
        elif unknown:
            yield f"{metric.name}: {sorted(unknown)} is no allowed label: list its closed set of values here"
        else:
            every = {
                tuple(zip(sorted(names), values, strict=True))
                for values in product(*(sorted(labels_allowed[name]) for name in sorted(names)))
            }
            if found != every:
                yield f"{metric.name}: {sorted(found - every)} is not allowed, {sorted(every - found)} is missing"


def test_labels_have_allowed_values_and_every_series_is_there_from_the_start(service) -> None:
    _, metrics, labels = service
    assert len([metric for metric in metrics if series(metric)]) == len(metrics), "a metric without any series"
    assert list(problems(labels, metrics)) == []


def test_names_say_whose_they_are_and_what_they_mean(service) -> None:
    name, metrics, _ = service
    own = (f"tiercast_{name}_", *SHARED_PREFIXES)
    for metric in metrics:
        assert metric.name.startswith(own), metric.name
        assert metric.documentation.endswith(".") or not metric.name.startswith("tiercast_"), metric.name


def test_a_replica_has_few_series(service) -> None:
    assert sum(len(metric.samples) for metric in service[1]) <= MOST_SERIES


def test_a_label_of_users_would_be_found() -> None:
    metric = Metric("tiercast_gateway_things", "Things.", "counter")
    metric.add_sample("tiercast_gateway_things_total", {"user": "alice"}, 1)
    assert "user" in next(problems(ALLOWED["gateway"], [metric]))
    metric = Metric("tiercast_gateway_things", "Things.", "counter")
    metric.add_sample("tiercast_gateway_things_total", {"tier": "gold"}, 1)
    assert "gold" in next(problems(ALLOWED["gateway"], [metric]))


def scraped(service: Service) -> list[Metric]:
    """What a running replica exports."""
    return list(text_string_to_metric_families(http_get(service.metrics_url).raise_for_status().text))


async def test_traffic_of_every_kind_makes_no_new_series(stack: Stack) -> None:
    services = replicas(stack)
    before = {name: {metric.name: series(metric) for metric in scraped(replica)} for name, replica in services.items()}
    repeated = premium()
    for submission in (standard(), repeated, repeated, signed({**repeated, "action": "SELL"}), standard(symbol="é")):
        await stack.publish(submission)
    await stack.publish_over_amqp([premium(), {**standard(), "sha256": "0" * 64}])
    await stack.set_tier("watched", "elite")
    async with stack.client("watched") as client, stack.gateway_http("somebody") as http:
        await client.first("connected")
        await stack.publish(premium())
        await client.signals_received(1)
        assert (await http.get("/api/v1/signals/latest")).is_success
        assert (await http.get("/api/v1/signals/latest", headers={"Authorization": "Bearer x"})).status_code == 401
        assert (await http.get("/no/such/path")).status_code == 404
    for name, replica in services.items():
        metrics = scraped(replica)
        assert {metric.name: series(metric) for metric in metrics} == before[name]
        assert list(problems(allowed(replica), metrics)) == []
