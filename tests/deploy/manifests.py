"""The manifests as `kubectl kustomize` renders them, and what a test wants to know of them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = ("dev", "prod", "own")
"""`own` is the one that docs/operations.md shows: prod with everything that can be added to it."""
OURS = {"ingest": "tiercast-ingest", "tiers": "tiercast-tiers", "gateway": "tiercast-gateway"}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A pod template with what makes pods of it."""

    kind: str
    name: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for each in self.containers for port in each.get("ports", [])}


def render(overlay: str, copy: Path) -> list[Manifest]:
    """Render an overlay from a copy of `deploy/`, with development secrets generated there."""
    if not copy.exists():
        shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("local", "__pycache__", "secrets", ".env"))
        shutil.copy(DEPLOY / "compose" / "secrets", copy / "compose" / "secrets")
        own = copy / "k8s" / "overlays" / "own" / "kustomization.yaml"
        own.parent.mkdir()
        own.write_text(own_overlay())
        make_secrets = copy / "k8s" / "overlays" / "dev" / "make-secrets"
        subprocess.run([str(make_secrets)], check=True, capture_output=True)
    command = ["kubectl", "kustomize", str(copy / "k8s" / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def own_overlay() -> str:
    """The kustomization that docs/operations.md shows for a cluster of one's own."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (found,) = re.findall(
        r"^```yaml\n(# deploy/k8s/overlays/own/kustomization.yaml\n.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    return found


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    return found


def workloads(manifests: list[Manifest]) -> list[Workload]:
    return [
        Workload(
            manifest["kind"],
            manifest["metadata"]["name"],
            manifest["spec"]["template"]["metadata"]["labels"],
            manifest["spec"]["template"]["spec"],
        )
        for manifest in of_kind(manifests, "Deployment", "StatefulSet", "Job")
    ]


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels; the empty one takes all."""
    exact = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return exact and all(_meets(expression, labels) for expression in selector.get("matchExpressions", []))


def _meets(expression: Manifest, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "Exists":
            return value is not None
        case "In":
            return value in expression["values"]
        case other:
            raise AssertionError(f"no test knows the operator {other}")


def operators_pods(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    """The labels that operators give to the pods of custom resources, by name."""
    postgres = {each["metadata"]["name"]: "cnpg.io/cluster" for each in of_kind(manifests, "Cluster")}
    rabbitmq = {each["metadata"]["name"]: "app.kubernetes.io/name" for each in of_kind(manifests, "RabbitmqCluster")}
    return {name: {label: name} for name, label in (postgres | rabbitmq).items()}


def all_pods(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    """The labels of all pods, by the name of what makes them."""
    return {each.name: each.labels for each in workloads(manifests)} | operators_pods(manifests)


def secrets_with_keys(manifests: list[Manifest]) -> dict[str, set[str]]:
    """The keys of each Secret that there will be."""
    there = {each["metadata"]["name"]: set(each.get("data", {})) for each in of_kind(manifests, "Secret")}
    for each in of_kind(manifests, "ExternalSecret"):
        there[each["spec"]["target"]["name"]] = {entry["secretKey"] for entry in each["spec"]["data"]}
    for each in of_kind(manifests, "Cluster"):  # CloudNativePG makes one for the database's owner
        there[f"{each['metadata']['name']}-app"] = {"username", "password", "dbname", "host", "port", "uri"}
    return there


def references(node: object, key: str) -> Iterator[Manifest]:
    """All values under `key`, however deep."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from references(value, key)
    elif isinstance(node, list):
        for each in node:
            yield from references(each, key)


def environment(workload: Workload, manifests: list[Manifest]) -> dict[str, str]:
    """What the first container finds in its environment; a secret's value is a stand-in that settings accept."""
    container = workload.spec["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for entry in container.get("env", []):
        value = entry.get("value") or secret_value(entry["name"])
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[entry["name"]] = value
    return found


def secret_value(name: str) -> str:
    return '{"demo": "0123456789abcdef01234567"}' if name == "INGEST_API_KEYS" else "0123456789abcdef" * 3
