"""Prometheus itself, scraping a stack: the judge of what dashboards and alerts ask."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tests.support.http import http_get
from tests.support.programs import find_program
from tests.support.services import Service
from tiercast_local.child import Child
from tiercast_local.ports import LOOPBACK, free_port

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES = MONITORING / "rules" / "tiercast.yaml"

Sample = dict[str, Any]
Found = TypeVar("Found")


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; Debian's package is installed where that can be done.

    Raises:
        AssertionError: it is missing, and what to install is said.
    """
    found = find_program(name, "prometheus")
    assert found is not None, f"{name} is missing: install Prometheus (Debian: apt-get install prometheus)"
    return found


class Prometheus:
    """A server of its own that scrapes `services` every second, under the job names of production; `stop` it at the end.

    `rules` are rule groups as in a rule file.
    """

    def __init__(self, directory: Path, services: Sequence[Service], rules: dict[str, Any]) -> None:
        jobs: dict[str, list[str]] = {}
        for service in services:
            jobs.setdefault(service.kind, []).append(f"{LOOPBACK}:{service.metrics_port}")
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()
            ],
        }
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.url = f"http://{LOOPBACK}:{free_port()}"
        command = [
            program("prometheus"),
            f"--config.file={directory}/prometheus.yaml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        self._child = Child(command, env={"PATH": "/usr/bin:/bin"}, log=directory / "prometheus.log")

    def stop(self) -> None:
        """End it."""
        self._child.stop()

    def query(self, expression: str) -> list[Sample]:
        """The samples of an instant query whose values are numbers; an `AssertionError` when it is not PromQL."""
        answer = self._get("/api/v1/query", query=expression)
        return [sample for sample in answer["result"] if not math.isnan(float(sample["value"][1]))]

    def value(self, expression: str) -> float | None:
        """The one value of an instant query; None when there is none."""
        samples = self.query(expression)
        return float(samples[0]["value"][1]) if samples else None

    def alerts(self) -> dict[str, Sample]:
        """Alerts that are pending or firing, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self._get("/api/v1/alerts")["alerts"]}

    def names(self) -> set[str]:
        """All metric names it has ever seen."""
        return set(self._get("/api/v1/label/__name__/values"))

    def until(self, ask: Callable[[], Found | None], within: float = 60) -> Found:
        """Ask until the answer is true, and return it; an `AssertionError` with its log when it never is."""
        deadline = time.monotonic() + within
        while True:
            try:
                found = ask()
            except httpx.TransportError:  # it is starting
                found = None
            if found:
                return found
            assert self._child.alive(), f"Prometheus ended:\n{self._child.log.read_text()}"
            assert time.monotonic() < deadline, f"not within {within} s:\n{self._child.log.read_text()[-2000:]}"
            time.sleep(0.2)

    def _get(self, path: str, **parameters: str) -> Any:
        response = http_get(f"{self.url}{path}", params=parameters, timeout=10)
        answer = response.json() if "json" in response.headers.get("content-type", "") else {}
        assert answer.get("status") == "success", f"{parameters}: {response.status_code} {response.text}"
        return answer["data"]
