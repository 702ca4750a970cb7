"""Selectors take what they are meant to take, and nothing reaches anything it does not need."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.deploy.manifests import (
    Manifest,
    all_pods,
    environment,
    named,
    of_kind,
    operators_pods,
    selects,
    workloads,
)
from tests.deploy.service_settings import load
from tiercast_gateway.handshake import PATH
from tiercast_gateway.settings import GatewaySettings

Policy = dict[str, Any]


def allowed(manifests: list[Manifest], source: dict[str, str], target: dict[str, str], port: int) -> bool:
    """Whether NetworkPolicies let a pod with the one's labels open a connection to the other."""
    return _direction(manifests, "egress", source, target, port) and _direction(
        manifests, "ingress", target, source, port
    )


def _direction(manifests: list[Manifest], direction: str, pod: dict[str, str], peer: dict[str, str], port: int) -> bool:
    field, kind = ("to", "Egress") if direction == "egress" else ("from", "Ingress")
    target = peer if direction == "egress" else pod
    policies = [
        each["spec"] for each in of_kind(manifests, "NetworkPolicy") if selects(each["spec"]["podSelector"], pod)
    ]
    policies = [policy for policy in policies if kind in policy["policyTypes"]]
    assert policies, "every pod has a default"
    rules = [rule for policy in policies for rule in policy.get(direction, [])]
    return any(_peer(rule, field, peer) and port in _ports(manifests, rule, target) for rule in rules)


def _peer(rule: Policy, field: str, peer: dict[str, str]) -> bool:
    return field not in rule or any(
        "podSelector" in each and "namespaceSelector" not in each and selects(each["podSelector"], peer)
        for each in rule[field]
    )


def _ports(manifests: list[Manifest], rule: Policy, target: dict[str, str]) -> Iterator[int]:
    own = next((each.ports for each in workloads(manifests) if each.labels == target), {})
    for entry in rule["ports"]:
        yield entry["port"] if isinstance(entry["port"], int) else own.get(entry["port"], 0)


def data_stores(manifests: list[Manifest]) -> tuple[str, str, str]:
    """The names of the broker and of the two databases' pods."""
    if operators_pods(manifests):
        return "rabbitmq", "ingest-database", "tiers-database"
    return "rabbitmq", "postgres", "postgres"


def test_what_is_needed_is_allowed_and_nothing_else_between_pods(manifests: list[Manifest]) -> None:
    pods = all_pods(manifests)
    broker, ingest_database, tiers_database = data_stores(manifests)
    needed = {
        ("gateway", "ingest", 8001),
        ("gateway", "tiers", 8002),
        *((service, broker, 5672) for service in ("ingest", "tiers", "gateway")),
        *((source, ingest_database, 5432) for source in ("ingest", "ingest-migrate")),
        *((source, tiers_database, 5432) for source in ("tiers", "tiers-migrate")),
    }
    ports = {8000, 8001, 8002, 9100, 9101, 9102, 5672, 5432}
    services = [name for name in pods if name not in {broker, ingest_database, tiers_database}]
    may = {
        (source, target, port)
        for source in services
        for target in pods
        for port in ports
        if source != target and allowed(manifests, pods[source], pods[target], port)
    }
    assert may == needed


def test_everything_is_denied_by_default(manifests: list[Manifest]) -> None:
    default = named(manifests, "NetworkPolicy", "default-deny")["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_selector_takes_some_pod(manifests: list[Manifest]) -> None:
    pods = list(all_pods(manifests).values())
    for each in of_kind(manifests, "Service"):
        taken = [pod for pod in workloads(manifests) if selects({"matchLabels": each["spec"]["selector"]}, pod.labels)]
        assert len(taken) == 1, each["metadata"]["name"]
        for port in each["spec"]["ports"]:
            assert port["targetPort"] in taken[0].ports
    for each in of_kind(manifests, "PodDisruptionBudget", "PodMonitor"):
        assert any(selects(each["spec"]["selector"], labels) for labels in pods), each["metadata"]["name"]
    for each in of_kind(manifests, "NetworkPolicy"):
        assert any(selects(each["spec"]["podSelector"], labels) for labels in pods), each["metadata"]["name"]
    for each in of_kind(manifests, "Deployment", "StatefulSet"):
        assert selects(each["spec"]["selector"], each["spec"]["template"]["metadata"]["labels"])


def test_every_service_is_scraped_under_its_name(rendered: dict[str, list[Manifest]]) -> None:
    monitors = of_kind(rendered["prod"], "PodMonitor")
    for workload in (each for each in workloads(rendered["prod"]) if each.kind == "Deployment"):
        (monitor,) = [each for each in monitors if selects(each["spec"]["selector"], workload.labels)]
        assert workload.labels[monitor["spec"]["jobLabel"]] == workload.name
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in workload.ports
        assert {"replica"} == {each["targetLabel"] for each in endpoint["relabelings"]}


def route_for(manifests: list[Manifest], path: str) -> tuple[str, Manifest]:
    """The backend and rule of the longest prefix, as the Gateway API orders them."""
    rules = [rule for each in of_kind(manifests, "HTTPRoute") for rule in each["spec"]["rules"]]
    found = [(match["path"]["value"], rule) for rule in rules for match in rule["matches"]]
    matching = [(value, rule) for value, rule in found if f"{path}/".startswith(f"{value.rstrip('/')}/")]
    _, rule = max(matching, key=lambda pair: len(pair[0]))
    return rule["backendRefs"][0]["name"], rule


@pytest.mark.parametrize(
    ("path", "backend", "limited"),
    [
        (PATH, "gateway", False),
        ("/api/v1/signals/stream", "gateway", False),
        ("/api/v1/signals/latest", "gateway", True),
        ("/", "gateway", True),
        ("/api/v1/external-signals/sync/signal", "ingest", True),
    ],
)
def test_a_request_finds_its_service_and_a_socket_has_no_time_limit(
    rendered: dict[str, list[Manifest]], path: str, backend: str, limited: bool
) -> None:
    name, rule = route_for(rendered["prod"], path)
    assert name == backend
    (reference,) = rule["backendRefs"]
    ports = [each["port"] for each in named(rendered["prod"], "Service", backend)["spec"]["ports"]]
    assert reference["port"] in ports
    assert (rule["timeouts"]["request"] != "0s") is limited


def test_stripe_reaches_its_path_of_the_tiers_service_and_no_other(rendered: dict[str, list[Manifest]]) -> None:
    assert route_for(rendered["own"], "/api/v1/webhooks/stripe")[0] == "tiers"
    assert route_for(rendered["prod"], "/api/v1/webhooks/stripe")[0] == "gateway"
    for path in ("/api/v1/users/u/tier", "/api/v1/tiers/lookup", "/api/v1/webhooks"):
        assert route_for(rendered["own"], path)[0] == "gateway"


@pytest.mark.parametrize(
    ("address", "outside"),
    [
        ("93.184.215.14", True),
        ("2606:2800::1", True),
        *(
            (address, False)
            for address in ("10.0.0.1", "172.20.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00::1")
        ),
    ],
)
def test_gateways_reach_an_identity_provider_outside_the_cluster_alone(
    rendered: dict[str, list[Manifest]], address: str, outside: bool
) -> None:
    (rule,) = named(rendered["own"], "NetworkPolicy", "to-the-identity-provider")["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert any(is_in_block(address, peer["ipBlock"]) for peer in rule["to"]) is outside


def is_in_block(address: str, block: dict[str, Any]) -> bool:
    """Whether a NetworkPolicy's `ipBlock` takes the address."""
    found = ip_address(address)
    return found in ip_network(block["cidr"]) and not any(found in ip_network(each) for each in block.get("except", []))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"])
def test_health_and_documents_are_not_for_the_world(rendered: dict[str, list[Manifest]], path: str) -> None:
    rules = [rule for each in of_kind(rendered["prod"], "HTTPRoute") for rule in each["spec"]["rules"]]
    (rule,) = [each for each in rules if path in {match["path"]["value"] for match in each["matches"]}]
    assert "backendRefs" not in rule
    assert rule["filters"][0]["requestRedirect"]["path"]["replaceFullPath"] == "/"


def test_every_way_in_is_over_tls(manifests: list[Manifest]) -> None:
    for route in of_kind(manifests, "HTTPRoute"):
        assert [parent["sectionName"] for parent in route["spec"]["parentRefs"]] == ["https"]


@pytest.mark.parametrize("overlay", ["prod", "own"])
def test_pages_of_the_host_that_is_served_may_connect(rendered: dict[str, list[Manifest]], overlay: str) -> None:
    manifests = rendered[overlay]
    hosts = {host for route in of_kind(manifests, "HTTPRoute") for host in route["spec"]["hostnames"]}
    (gateway,) = [each for each in workloads(manifests) if each.name == "gateway"]
    settings = load("gateway", environment(gateway, manifests))
    assert isinstance(settings, GatewaySettings)
    assert settings.allowed_origins == {f"https://{host}" for host in hosts}


def test_what_is_internal_has_no_way_in_from_outside(rendered: dict[str, list[Manifest]]) -> None:
    for path in ("/api/v1/log/signals", "/api/v1/users/u/tier", "/metrics"):
        assert route_for(rendered["prod"], path)[0] == "gateway", "which has none of these"
