"""Alerting rules, by Prometheus' own tool: they are well formed, and each has a case that makes it fire and one that does not."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import MONITORING, RULES, program

CASES = sorted((MONITORING / "rules_test").glob("*.yaml"))
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
COMPOSE = MONITORING.parent / "compose" / "prometheus.yaml"


def promtool(*arguments: str, directory: Path = MONITORING) -> "subprocess.CompletedProcess[str]":
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=100)


def test_the_rules_are_well_formed():
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stderr


def test_every_case_has_the_outcome_it_names():
    done = promtool("test", "rules", *(str(path) for path in CASES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_says_the_opposite_fails_its_cases(tmp_path: Path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules_test").mkdir()
    turned = RULES.read_text().replace("tiercast_gateway_feed_stale == 1", "tiercast_gateway_feed_stale == 0")
    assert turned != RULES.read_text()
    (tmp_path / "rules" / RULES.name).write_text(turned)
    cases = yaml.safe_load((MONITORING / "rules_test" / "alerts.yaml").read_text())
    cases["tests"] = [case for case in cases["tests"] if case["name"].startswith("SignalFeedStale")]
    assert len(cases["tests"]) == 2
    (tmp_path / "rules_test" / "alerts.yaml").write_text(yaml.safe_dump(cases))
    done = promtool("test", "rules", "alerts.yaml", directory=tmp_path / "rules_test")
    assert done.returncode != 0


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_firing_and_a_quiet_case(alert: str):
    outcomes = [
        bool(check["exp_samples"])
        for path in CASES
        for case in yaml.safe_load(path.read_text())["tests"]
        for check in case["promql_expr_test"]
        if f'alertname="{alert}"' in check["expr"]
    ]
    assert sorted(outcomes) == [False, True]


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_urgent_it_is_what_happens_and_what_to_do(alert: str):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{alert.lower()}"
    assert rule["annotations"]["description"].endswith(".")


def test_the_jobs_that_rules_name_are_those_that_are_scraped():
    scraped = {job["job_name"] for job in yaml.safe_load(COMPOSE.read_text())["scrape_configs"]}
    assert {"ingest", "tiers", "gateway"} <= scraped
    done = promtool("check", "config", "--syntax-only", str(COMPOSE))
    assert done.returncode == 0, done.stderr
