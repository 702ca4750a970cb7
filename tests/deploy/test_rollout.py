"""What is rolled out in which order: by deploy/k8s/rollout, and by Argo CD's waves."""

import os
import re
import subprocess
from pathlib import Path

import yaml

from tests.deploy.manifests import DEPLOY, Manifest, of_kind

RECORDER = """#!/bin/sh
echo "$*" >>"$KUBECTL_CALLS"
case "$1 $*" in
kustomize*) cat "$KUBECTL_RENDERED" ;;
*" wait "*) exit "$KUBECTL_WAIT" ;;
*"create namespace"*) echo "{}" ;;
esac
"""
"""A kubectl without a cluster: it renders, and notes what it was asked."""

Calls = list[str]


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def labels_of(manifest: Manifest) -> dict[str, str]:
    return manifest["metadata"].get("labels", {})


def roll_out(directory: Path, rendered: list[Manifest], *, migrated: bool) -> tuple[int, Calls]:

    program = directory / "kubectl"
    program.write_text(RECORDER)
    program.chmod(0o755)
    (directory / "rendered.yaml").write_text(yaml.safe_dump_all(rendered))
    (directory / "calls").touch()
    environment = os.environ | {
        "PATH": f"{directory}:{os.environ['PATH']}",
        "KUBECTL_CALLS": str(directory / "calls"),
        "KUBECTL_RENDERED": str(directory / "rendered.yaml"),
        "KUBECTL_WAIT": "0" if migrated else "1",
    }
    script = DEPLOY / "k8s" / "rollout"
    done = subprocess.run([str(script), "prod"], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, (directory / "calls").read_text().splitlines()


def chosen(call: str, manifests: list[Manifest]) -> list[Manifest]:
    """What `kubectl apply -l` takes of the manifests; everything without a selector."""
    selector = call.partition(" -l ")[2]
    terms = re.findall(r"([\w./-]+)(?:=(\w+)| notin \(([\w,]+)\))", selector)
    assert terms, call
    return [each for each in manifests if all(_meets(labels_of(each), term) for term in terms)]


def _meets(labels: dict[str, str], term: tuple[str, str, str]) -> bool:
    key, exact, none_of = term
    return labels.get(key) == exact if exact else labels.get(key) not in none_of.split(",")


def test_a_rollout_migrates_first_then_changes_owners_then_gateways(manifests: list[Manifest], tmp_path: Path) -> None:
    code, calls = roll_out(tmp_path, manifests, migrated=True)
    assert code == 0
    applied = [[name_of(each) for each in chosen(call, manifests)] for call in calls if call.startswith("apply -f /")]
    flat = [name for names in applied for name in names]
    assert sorted(flat) == sorted(name_of(each) for each in manifests), "each object once, and none left out"
    jobs = {name_of(each) for each in of_kind(manifests, "Job")}
    order = [
        index for index, names in enumerate(applied) if any(n in jobs or n.startswith("Deployment/") for n in names)
    ]
    steps = [{n for n in applied[index] if n in jobs or n.startswith("Deployment/")} for index in order]
    assert steps == [jobs, {"Deployment/ingest"}, {"Deployment/tiers"}, {"Deployment/gateway"}]
    waits = [re.sub(r"^-n \S+ ", "", call) for call in calls if " wait " in call or "rollout status" in call]
    assert [each.split()[0:2] for each in waits] == [["wait", "job"], *[["rollout", "status"]] * 3]
    gateway = next(number for number, call in enumerate(calls) if call.endswith("name=gateway"))
    assert sum("rollout status" in call for call in calls[:gateway]) == 2, "owners are there before gateways change"


def test_nothing_is_rolled_out_on_a_database_that_was_not_migrated(
    rendered: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    code, calls = roll_out(tmp_path, rendered["prod"], migrated=False)
    assert code == 1
    assert not any(call.endswith(("name=ingest", "name=tiers", "name=gateway")) for call in calls)


def test_argo_cd_goes_in_the_same_order(manifests: list[Manifest]) -> None:
    waves = {
        name_of(each): int(each["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))
        for each in manifests
    }
    jobs = [each for each in of_kind(manifests, "Job") if each["metadata"]["name"].endswith("-migrate")]
    for job in jobs:  # a hook before the sync would wait for a database that the sync makes
        assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Sync"
    assert {name: wave for name, wave in waves.items() if wave} == {
        "Job/ingest-migrate": 1,
        "Job/tiers-migrate": 1,
        "Deployment/ingest": 2,
        "Deployment/tiers": 2,
        "Deployment/gateway": 3,
    }


def test_an_overlay_must_be_named() -> None:
    script = DEPLOY / "k8s" / "rollout"
    done = subprocess.run([str(script)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "dev, prod" in done.stderr
