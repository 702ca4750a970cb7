"""deploy/compose.yaml fits the code, the generated secrets and the files it mounts."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.conftest import require_program
from tests.deploy.manifests import DEPLOY, OURS
from tests.deploy.service_settings import SETTINGS, commands, environment_names, load
from tiercast_gateway.addresses import client_address
from tiercast_gateway.drain import FAREWELL_SECONDS
from tiercast_gateway.settings import GatewaySettings
from tiercast_local.docker_engine import POSTGRES_IMAGE, RABBITMQ_IMAGE
from tiercast_shared.messaging.permissions import PERMISSIONS, password_variable

HAND_ITS_VOLUME_OVER = {"postgres", "rabbitmq"}

Service = dict[str, Any]


def kind(service: Service) -> str | None:
    return next((kind for kind, image in OURS.items() if service["image"] == f"{image}:local"), None)


def serving(compose: dict[str, Any]) -> dict[str, Service]:
    return {
        name: each
        for name, each in compose["services"].items()
        if kind(each) and "command" not in each and "entrypoint" not in each
    }


def test_every_secret_is_different_and_long(secrets: dict[str, str]) -> None:
    assert len(set(secrets.values())) == len(secrets)
    assert min(len(value) for value in secrets.values()) >= 48


def test_services_start_with_what_they_are_given(compose: dict[str, Any]) -> None:
    for name, each in serving(compose).items():
        service = kind(each)
        assert service is not None
        given = {key: str(value) for key, value in each["environment"].items()}
        assert given.keys() <= environment_names(SETTINGS[service]), name
        load(service, given)
    for each in compose["services"].values():
        if (service := kind(each)) and "command" in each:
            assert each["command"][0] in commands(service)
            assert each["environment"].keys() <= environment_names(SETTINGS[service])


def test_two_gateways_stand_behind_the_proxy_and_have_time_to_drain(compose: dict[str, Any]) -> None:
    gateways = [name for name, each in serving(compose).items() if kind(each) == "gateway"]
    assert len(gateways) == 2
    configuration = (DEPLOY / "compose" / "haproxy.cfg").read_text()
    for name in gateways:
        settings = load("gateway", compose["services"][name]["environment"])
        assert isinstance(settings, GatewaySettings)
        assert f"server {name} {name}:{settings.port}" in configuration
        seconds = int(compose["services"][name]["stop_grace_period"].removesuffix("s"))
        assert seconds > settings.drain_seconds + FAREWELL_SECONDS + 10
        idle = re.findall(r"timeout (?:client|server|tunnel) (\d+)s", configuration)
        assert all(int(each) > 3 * settings.heartbeat_seconds for each in idle)
        assert client_address("172.18.0.9", ["203.0.113.9", "172.18.0.1"], settings.trusted_proxies) == "203.0.113.9"
    assert "http-request deny deny_status 404 if { path /healthz /readyz }" in configuration
    assert "%HU" not in configuration, "URLs hold tokens"


def test_prometheus_asks_every_replica_where_its_metrics_are(compose: dict[str, Any]) -> None:
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text())["scrape_configs"]
    }
    wanted: dict[str, list[str]] = {}
    for name, each in serving(compose).items():
        service = kind(each)
        assert service is not None
        settings: Any = load(service, each["environment"])
        wanted.setdefault(service, []).append(f"{name}:{settings.metrics_port}")
    assert {job: targets for job, targets in jobs.items() if job in wanted} == wanted


def test_containers_have_no_more_rights_than_they_need(compose: dict[str, Any]) -> None:
    for name, each in compose["services"].items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in each
        if name not in HAND_ITS_VOLUME_OVER:
            assert each["read_only"] is True
            assert "cap_add" not in each
        assert all(port.startswith("127.0.0.1:") for port in each.get("ports", []))


def test_only_the_owners_of_data_reach_the_databases(compose: dict[str, Any]) -> None:
    inside = {name for name, each in compose["services"].items() if "database" in each["networks"]}
    assert inside == {"postgres", "ingest", "tiers", "ingest-migrate", "tiers-migrate"}
    assert compose["networks"]["database"] == {"internal": True}


def test_databases_are_migrated_and_users_made_before_anything_serves(compose: dict[str, Any]) -> None:
    for each in serving(compose).values():
        service = kind(each)
        wanted = {"broker-users"} | ({f"{service}-migrate"} if service != "gateway" else set())
        assert {name: state["condition"] for name, state in each["depends_on"].items()} == dict.fromkeys(
            wanted, "service_completed_successfully"
        )
    given = compose["services"]["broker-users"]["environment"]
    assert {password_variable(user) for user in PERMISSIONS} <= given.keys()


def test_everything_that_is_mounted_exists(compose: dict[str, Any]) -> None:
    for each in compose["services"].values():
        for volume in each.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in compose["volumes"]


def test_servers_are_those_that_tests_run_on(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["image"] == POSTGRES_IMAGE
    assert compose["services"]["rabbitmq"]["image"] == RABBITMQ_IMAGE


def test_grafana_has_the_source_and_the_folder_of_our_dashboards(compose: dict[str, Any]) -> None:
    provisioning = DEPLOY / "compose" / "grafana"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tiercast.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    assert provider["options"]["path"] == mounts["./monitoring/dashboards"]
    uids = set(re.findall(r'"type": "prometheus",\s*"uid": "([^"]+)"', _dashboards()))
    assert uids <= {source["uid"], "${datasource}", "${DS_PROMETHEUS}"}


def _dashboards() -> str:
    return "".join(file.read_text() for file in (DEPLOY / "monitoring" / "dashboards").glob("*.json"))


def test_the_proxys_configuration_is_valid(tmp_path: Path) -> None:
    haproxy = require_program("haproxy", "haproxy")
    file = tmp_path / "haproxy.cfg"
    file.write_text((DEPLOY / "compose" / "haproxy.cfg").read_text())
    done = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
