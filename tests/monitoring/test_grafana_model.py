"""The dashboards and Grafana's own model of them: it knows every field that they have."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from tests.support.prometheus import MONITORING

FILES = sorted((MONITORING / "dashboards").glob("*.json"))
PROVISIONING = MONITORING.parent / "compose" / "grafana"
OF_PLUGINS = {
    "/annotations/list[]/step",
    "/annotations/list[]/titleFormat",
    "/annotations/list[]/textFormat",
    "/templating/list[]/definition",
}
"""Fields that Prometheus' own editors of annotations and variables keep there; the core model leaves them out."""

DATASOURCE = {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData"}
PROVIDER = {"name", "folder", "type", "allowUiUpdates", "options"}


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    plugins.register_default_plugins()


def unknown(ours: Any, known: Any, path: str = "") -> Iterator[str]:
    """Where ours has what the model did not take over, or took for something else."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for name, value in ours.items():
            if name in known:
                yield from unknown(value, known[name], f"{path}/{name}")
            else:
                yield f"{path}/{name}"
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for one, other in zip(ours, known, strict=True):
            yield from unknown(one, other, f"{path}[]")
    elif ours != known:
        yield path


def as_grafana_reads(dashboard: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(dashboard)), cls=JSONEncoder))
    return read


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_field_of_a_dashboard_is_one_of_grafanas(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    assert set(unknown(dashboard, as_grafana_reads(dashboard))) <= OF_PLUGINS
    for panel in Dashboard.from_json(dashboard).panels or []:
        if isinstance(panel, Panel):
            assert {type(target).__module__.rpartition(".")[2] for target in panel.targets or []} == {"prometheus"}


@pytest.mark.parametrize("place", ["fieldConfig/defaults/unitt", "options/reduceOption", "gridPos/width", "datasorce"])
def test_a_misspelt_field_is_noticed(place: str) -> None:
    dashboard = json.loads(FILES[0].read_text())
    node = next(panel for panel in dashboard["panels"] if panel["type"] == "stat")
    *way, name = place.split("/")
    for step in way:
        node = node[step]
    node[name] = "x"
    assert f"/panels[]/{place}" in set(unknown(dashboard, as_grafana_reads(dashboard)))


def test_provisioning_says_what_grafana_reads() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())
    providers = yaml.safe_load((PROVISIONING / "dashboards" / "tiercast.yaml").read_text())
    assert (sources.keys(), providers.keys()) == ({"apiVersion", "datasources"}, {"apiVersion", "providers"})
    (source,), (provider,) = sources["datasources"], providers["providers"]
    assert source.keys() <= DATASOURCE
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    assert re.fullmatch(r"http://prometheus:\d+", source["url"])
    assert provider.keys() <= PROVIDER
    assert (provider["type"], provider["options"].keys()) == ("file", {"path"})
