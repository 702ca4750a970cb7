"""What runs in the cluster fits the code that runs there."""

import inspect
from typing import Any

import pytest
from fastapi import FastAPI

from tests.deploy.manifests import (
    OURS,
    OVERLAYS,
    Manifest,
    Workload,
    environment,
    named,
    of_kind,
    references,
    secrets_with_keys,
    workloads,
)
from tests.deploy.service_settings import SETTINGS, commands, environment_names, load
from tiercast_gateway.addresses import client_address
from tiercast_gateway.consumers import STOP_SECONDS
from tiercast_gateway.drain import FAREWELL_SECONDS
from tiercast_gateway.settings import GatewaySettings
from tiercast_local.docker_engine import POSTGRES_IMAGE, RABBITMQ_IMAGE
from tiercast_shared.health import ReadinessChecks, health_router
from tiercast_shared.serving import server_config

HTTP_SECONDS = server_config(FastAPI(), host="127.0.0.1", port=1).timeout_graceful_shutdown
RESERVE_SECONDS = 10
"""For what ends after the drain: the last batch, the broker, the interpreter."""


def service_of(workload: Workload) -> str | None:
    name, _ = image_of(workload.containers[0])
    return next((service for service, ours in OURS.items() if ours == name), None)


def image_of(container: Manifest) -> tuple[str, str]:
    """Name and tag of a container's image, whichever registry it is from."""
    name, _, tag = container["image"].rpartition("/")[2].partition(":")
    return name, tag


def deployments(manifests: list[Manifest]) -> dict[str, Workload]:
    return {each.name: each for each in workloads(manifests) if each.kind == "Deployment"}


def test_all_three_services_are_deployed(manifests: list[Manifest]) -> None:
    assert deployments(manifests).keys() == OURS.keys()


def test_a_pod_has_longer_to_end_than_its_drain_takes(manifests: list[Manifest]) -> None:
    for name, workload in deployments(manifests).items():
        sleep = workload.containers[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        takes = sleep + HTTP_SECONDS + STOP_SECONDS + RESERVE_SECONDS
        if name == "gateway":
            settings = load("gateway", environment(workload, manifests))
            assert isinstance(settings, GatewaySettings)
            takes += settings.drain_seconds + FAREWELL_SECONDS
        assert sleep >= 5
        assert workload.spec["terminationGracePeriodSeconds"] > takes


def test_ports_are_those_that_the_services_listen_on(manifests: list[Manifest]) -> None:
    for name, workload in deployments(manifests).items():
        settings: Any = load(name, environment(workload, manifests))
        assert settings.host == "0.0.0.0"
        assert workload.ports == {"http": settings.port, "metrics": settings.metrics_port}


def test_a_service_starts_with_the_environment_it_is_given(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        service = service_of(workload)
        if service is None or workload.containers[0].get("command"):
            continue
        given = environment(workload, manifests)
        used_by_others = {name for name in given if any(f"$({name})" in str(e) for e in workload.containers[0]["env"])}
        assert given.keys() - used_by_others <= environment_names(SETTINGS[service])
        assert not any("$(" in value for value in given.values())
        if workload.containers[0]["args"] == ["serve"]:
            load(service, given)


def test_nothing_turns_a_services_address_into_a_setting(manifests: list[Manifest]) -> None:
    assert all(each.spec["enableServiceLinks"] is False for each in workloads(manifests)), "INGEST_PORT=tcp://…"


def test_services_name_each_other_by_services_that_exist(manifests: list[Manifest]) -> None:
    settings = load("gateway", environment(deployments(manifests)["gateway"], manifests))
    assert isinstance(settings, GatewaySettings)
    for url in (settings.ingest_url, settings.tiers_url):
        host, _, port = url.removeprefix("http://").partition(":")
        assert [each["port"] for each in named(manifests, "Service", host)["spec"]["ports"]] == [int(port)]


def test_every_secret_and_config_map_that_is_referred_to_exists(manifests: list[Manifest]) -> None:
    there = secrets_with_keys(manifests)
    for reference in references(manifests, "secretKeyRef"):
        assert reference["key"] in there[reference["name"]]
    for reference in references(manifests, "importCredentialsSecret"):
        assert {"username", "password"} <= there[reference["name"]]
    maps = {each["metadata"]["name"] for each in of_kind(manifests, "ConfigMap")}
    assert {each["name"] for each in references(manifests, "configMapRef")} <= maps
    assert {each["name"] for each in references(manifests, "configMap")} <= maps


def test_no_secret_stands_in_a_manifest(rendered: dict[str, list[Manifest]]) -> None:
    assert of_kind(rendered["prod"], "Secret") == []
    for overlay in OVERLAYS:
        for workload in workloads(rendered[overlay]):
            for entry in (entry for each in workload.containers for entry in each.get("env", [])):
                assert "value" not in entry or not entry["name"].endswith(("PASSWORD", "PASS", "KEY", "KEYS", "SECRET"))


def test_every_image_is_one_that_we_build_or_test_with(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        for container in workload.containers:
            name, tag = image_of(container)
            assert name in OURS.values() or container["image"] in {POSTGRES_IMAGE, RABBITMQ_IMAGE}
            assert tag not in {"", "latest"}


def test_every_command_is_one_that_the_service_has(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        service = service_of(workload)
        if service is not None and "command" not in workload.containers[0]:
            assert workload.containers[0]["args"][0] in commands(service)


def test_probes_ask_three_different_questions_at_paths_that_exist(manifests: list[Manifest]) -> None:
    paths = {getattr(route, "path", None) for route in health_router(ReadinessChecks()).routes}
    for workload in deployments(manifests).values():
        container = workload.containers[0]
        startup, ready, alive = (container[f"{name}Probe"] for name in ("startup", "readiness", "liveness"))
        for probe in (startup, ready, alive):
            assert probe["httpGet"]["path"] in paths
            assert probe["httpGet"]["port"] == "http"
        assert ready["httpGet"]["path"] == "/readyz"
        assert startup["httpGet"]["path"] == alive["httpGet"]["path"] == "/healthz"
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 60 > alive["periodSeconds"]
        assert (
            ready["periodSeconds"] * ready["failureThreshold"] <= container["lifecycle"]["preStop"]["sleep"]["seconds"]
        )


def test_pods_meet_the_restricted_standard_and_more(manifests: list[Manifest]) -> None:
    for workload in workloads(manifests):
        pod = workload.spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert workload.spec["automountServiceAccountToken"] is False
        for container in workload.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_rollout_takes_nothing_away_before_the_new_is_ready(manifests: list[Manifest]) -> None:
    for each in of_kind(manifests, "Deployment"):
        assert each["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        spread = each["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert {constraint["topologyKey"] for constraint in spread} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        budget = named(manifests, "PodDisruptionBudget", each["metadata"]["name"])
        assert budget["spec"]["maxUnavailable"] == 1
    for each in of_kind(manifests, "RabbitmqCluster"):
        assert each["spec"]["replicas"] == 3
        assert named(manifests, "PodDisruptionBudget", each["metadata"]["name"])["spec"]["maxUnavailable"] == 1


def test_gateways_see_the_addresses_of_clients_behind_the_way_in(manifests: list[Manifest]) -> None:
    settings = load("gateway", environment(deployments(manifests)["gateway"], manifests))
    assert isinstance(settings, GatewaySettings)
    assert client_address("10.1.2.3", ["203.0.113.9, 198.51.100.7"], settings.trusted_proxies) == "198.51.100.7"


def test_every_database_is_migrated_by_a_job_before_the_rollout(manifests: list[Manifest]) -> None:
    jobs = {each["metadata"]["name"]: each for each in of_kind(manifests, "Job")}
    for service in ("ingest", "tiers"):
        job = jobs[f"{service}-migrate"]
        assert job["metadata"]["labels"]["tiercast.io/phase"] == "migrate"
        job_image = job["spec"]["template"]["spec"]["containers"][0]["image"]
        assert job_image == deployments(manifests)[service].containers[0]["image"]


def test_the_gateway_scales_by_a_gauge_that_it_exposes(rendered: dict[str, list[Manifest]]) -> None:
    (scaler,) = of_kind(rendered["prod"], "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    assert "replicas" not in named(rendered["prod"], target["kind"], target["name"])["spec"], "two would decide"
    (metric,) = scaler["spec"]["metrics"]
    from tiercast_gateway import metrics

    assert f'"{metric["pods"]["metric"]["name"]}"' in inspect.getsource(metrics)


def test_each_database_has_a_copy_of_every_commit_and_a_backup_that_is_whole(
    rendered: dict[str, list[Manifest]],
) -> None:
    for cluster in of_kind(rendered["prod"], "Cluster"):
        name, spec = cluster["metadata"]["name"], cluster["spec"]
        assert spec["instances"] == 3
        assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
        schedule = named(rendered["prod"], "ScheduledBackup", name)["spec"]
        assert (schedule["cluster"], schedule["method"]) == ({"name": name}, "volumeSnapshot")
        assert spec["backup"]["volumeSnapshot"]["online"] is False, "there is no archive to make a hot one whole"
        assert spec["backup"]["target"] == "prefer-standby"


@pytest.mark.parametrize("service", ["ingest", "tiers"])
def test_one_role_and_database_per_service(manifests: list[Manifest], service: str) -> None:
    settings: Any = load(service, environment(deployments(manifests)[service], manifests))
    url = settings.database_url.get_secret_value()
    assert url.startswith(f"postgresql+asyncpg://{service}:")
    assert url.endswith(f"@{service}-database-rw:5432/{service}")
    assert settings.amqp_url.get_secret_value().startswith(f"amqp://{service}:")
