"""Every object has the shape its kind allows, custom resources included."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.k8s import generate
from tests.deploy.manifests import DEPLOY, Manifest

SCHEMAS = DEPLOY / "k8s" / "schemas"
KUBERNETES = "1.33"


def schema_of(manifest: Manifest) -> Path | None:
    group, _, version = manifest["apiVersion"].rpartition("/")
    file = SCHEMAS / f"{manifest['kind'].lower()}.{group}.json"
    if not file.exists():
        return None
    assert json.loads(file.read_text())["title"].endswith(f"/{version}")
    return file


def check(manifest: Manifest) -> None:
    if (file := schema_of(manifest)) is not None:
        jsonschema.Draft202012Validator(json.loads(file.read_text())).validate(manifest)
    else:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_every_object_has_the_shape_of_its_kind(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        check(manifest)


def test_every_vendored_schema_is_sound_and_used(rendered: dict[str, list[Manifest]]) -> None:
    used = {schema_of(manifest) for manifests in rendered.values() for manifest in manifests}
    for file in SCHEMAS.glob("*.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(file.read_text()))
        assert file in used


@pytest.mark.parametrize("kind", ["HTTPRoute", "RabbitmqCluster", "Cluster", "PodMonitor", "Deployment"])
def test_a_misspelt_field_is_refused(rendered: dict[str, list[Manifest]], kind: str) -> None:
    manifest = next(each for each in rendered["prod"] if each["kind"] == kind)
    broken = {**manifest, "spec": {**manifest["spec"], "replicaz": 3}}
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(broken)


def test_no_object_is_there_twice(manifests: list[Manifest]) -> None:
    names = [(each["kind"], each["apiVersion"].partition("/")[0], each["metadata"]["name"]) for each in manifests]
    assert len(names) == len(set(names))


def test_generated_files_are_what_the_code_makes() -> None:
    stale = [path.name for path, text in generate.generated().items() if path.read_text() != text]
    assert stale == [], "run `make k8s`"


def test_every_dashboard_is_a_labelled_config_map(rendered: dict[str, list[Manifest]]) -> None:
    labelled = [each for each in rendered["prod"] if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
    files = {file.name for file in (DEPLOY / "monitoring" / "dashboards").glob("*.json")}
    assert {name for each in labelled for name in each["data"]} == files
    for each in labelled:
        for text in each["data"].values():
            assert json.loads(text)["uid"]


def test_the_rules_of_prometheus_are_the_operators_too(rendered: dict[str, list[Manifest]]) -> None:
    (rule,) = [each for each in rendered["prod"] if each["kind"] == "PrometheusRule"]
    groups = [yaml.safe_load(file.read_text())["groups"] for file in (DEPLOY / "monitoring" / "rules").glob("*.yaml")]
    assert {group["name"] for group in rule["spec"]["groups"]} == {each["name"] for file in groups for each in file}
