"""Labels of metrics come from closed sets, and every series is there from the start.

A label with the name of a user, a symbol, a path or a connection grows for ever, and a series that appears only with its first
event hides that event from `rate()`. What is allowed stands here, in one place.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import httpx
import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.producers import premium, signed, standard
from tests.support.services import Service
from tests.support.stack import Stack
from tiercast_gateway.app import Gateway
from tiercast_gateway.settings import GatewaySettings
from tiercast_ingest.domain.reasons import REASONS
from tiercast_ingest.metrics import IngestMetrics
from tiercast_shared.contracts.signals import Feed, SignalType
from tiercast_shared.contracts.tiers import Tier
from tiercast_tiers.metrics import TiersMetrics

TIERS = {tier.value for tier in Tier}

ALLOWED: dict[str, dict[str, set[str]]] = {
    "ingest": {
        "transport": {"http", "amqp"},
        "type": {kind.value for kind in SignalType},
        "reason": set(REASONS),
    },
    "tiers": {
        "tier": TIERS,
        "status_class": {"4xx", "5xx"},
    },
    "gateway": {
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
        "generation": {"0", "1", "2"},
    },
}

CONSTANT = {"tiercast_gateway_build_info", "python_info"}
"""One series each, whose labels name what runs."""

MOST_SERIES = 400
"""Of one replica, buckets included."""


def ingest_metrics() -> Iterable[Metric]:
    registry = CollectorRegistry()
    metrics = IngestMetrics(registry)
    metrics.watch_waiting(lambda: 0)
    metrics.watch_in_flight(lambda: 0)
    return registry.collect()


def tiers_metrics() -> Iterable[Metric]:
    registry = CollectorRegistry()
    TiersMetrics(registry)
    return registry.collect()


async def gateway_metrics() -> Iterable[Metric]:
    settings = {"AMQP_URL": "amqp://nowhere", "SERVICE_KEY": "k" * 16, "GATEWAY_JWT_SECRET": "s" * 32}
    return Gateway(GatewaySettings.model_validate(settings)).registry.collect()


@pytest.fixture(params=ALLOWED)
async def service(request: pytest.FixtureRequest) -> tuple[str, list[Metric]]:
    """A service's name and its metrics before anything has happened."""
    if request.param == "gateway":
        return "gateway", list(await gateway_metrics())
    make: Callable[[], Iterable[Metric]] = {"ingest": ingest_metrics, "tiers": tiers_metrics}[request.param]
    return request.param, list(make())


def series(metric: Metric) -> set[tuple[tuple[str, str], ...]]:
    """The label sets of a metric, without the buckets of a histogram."""
    return {
        tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        for sample in metric.samples
    }


def problems(service: str, metrics: Iterable[Metric]) -> Iterator[str]:
    """What is wrong with the labels of a service's metrics, a line for each metric."""
    for metric in metrics:
        found = series(metric)
        names = {name for labels in found for name, _ in labels}
        unknown = names - ALLOWED[service].keys()
        if metric.name in CONSTANT:
            if len(found) != 1:
                yield f"{metric.name}: a constant has one series, not {len(found)}"
        elif unknown:
            yield f"{metric.name}: {sorted(unknown)} is no allowed label of {service}: list its closed set of values here"
        else:
            every = {
                tuple(zip(sorted(names), values, strict=True))
                for values in product(*(sorted(ALLOWED[service][name]) for name in sorted(names)))
            }
            if found != every:
                yield f"{metric.name}: {sorted(found - every)} is not allowed, {sorted(every - found)} is missing"


def test_labels_have_allowed_values_and_every_series_is_there_from_the_start(service: tuple[str, list[Metric]]) -> None:
    name, metrics = service
    assert len([metric for metric in metrics if series(metric)]) == len(metrics), "a metric without any series"
    assert list(problems(name, metrics)) == []


def test_names_say_whose_they_are_and_what_they_mean(service: tuple[str, list[Metric]]) -> None:
    name, metrics = service
    for metric in metrics:
        assert metric.name.startswith((f"tiercast_{name}_", "python_", "process_")), metric.name
        assert metric.documentation.endswith(".") or not metric.name.startswith("tiercast_"), metric.name


def test_a_replica_has_few_series(service: tuple[str, list[Metric]]) -> None:
    assert sum(len(metric.samples) for metric in service[1]) <= MOST_SERIES


def test_a_label_of_users_would_be_found() -> None:
    metric = Metric("tiercast_gateway_things", "Things.", "counter")
    metric.add_sample("tiercast_gateway_things_total", {"user": "alice"}, 1)
    assert "user" in next(problems("gateway", [metric]))
    metric = Metric("tiercast_gateway_things", "Things.", "counter")
    metric.add_sample("tiercast_gateway_things_total", {"tier": "gold"}, 1)
    assert "gold" in next(problems("gateway", [metric]))


def scraped(service: Service) -> list[Metric]:
    """What a running replica exports."""
    return list(text_string_to_metric_families(httpx.get(service.metrics_url).raise_for_status().text))


async def test_traffic_of_every_kind_makes_no_new_series(stack: Stack) -> None:
    replicas = {"ingest": stack.ingest, "tiers": stack.tiers, "gateway": stack.gateway}
    before = {name: {metric.name: series(metric) for metric in scraped(replica)} for name, replica in replicas.items()}
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
    for name, replica in replicas.items():
        metrics = scraped(replica)
        assert {metric.name: series(metric) for metric in metrics} == before[name]
        assert list(problems(name, metrics)) == []
