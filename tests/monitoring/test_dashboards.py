"""The dashboards' JSON, as far as Grafana's own rules for it are known, and what a reader is owed."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.support.prometheus import MONITORING
from tiercast_dashboards.__main__ import DASHBOARDS, main, texts

FILES = sorted((MONITORING / "dashboards").glob("*.json"))
COLUMNS = 24
PANEL_TYPES = {"row", "timeseries", "stat", "heatmap", "table"}
UNITS = {"short", "s", "ops", "reqps", "bytes", "percentunit"}
VARIABLES = {"datasource", "job", "__rate_interval", "__range"}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(request.param.read_text())
    return loaded


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_there_is_a_file_for_each_dashboard_and_it_is_what_the_code_makes():
    assert {path.stem for path in FILES} == DASHBOARDS.keys()
    assert main(["--check"]) == 0


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tiercast_dashboards.__main__.DIRECTORY", tmp_path)
    assert main(["--check"]) == 1
    main([])
    assert main(["--check"]) == 0
    next(iter(texts())).write_text("{}")
    assert main(["--check"]) == 1


def test_the_frame_is_as_grafana_wants_it(dashboard: dict[str, Any]):
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["uid"].startswith("tiercast-")
    assert len(dashboard["uid"]) <= 40
    assert dashboard["title"]
    assert dashboard["description"]
    assert dashboard["time"] == {"from": "now-1h", "to": "now"}
    variables = dashboard["templating"]["list"]
    assert variables[0] | {"name": "datasource", "type": "datasource", "query": "prometheus"} == variables[0]
    assert {variable["name"] for variable in variables} <= VARIABLES


def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]):
    everything = dashboard["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert {panel["type"] for panel in everything} <= PANEL_TYPES
    places = [panel["gridPos"] for panel in everything]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= COLUMNS
        assert place["w"] > 0
        assert place["h"] > 0
    for one, other in combinations(places, 2):
        apart_sideways = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_upwards = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_sideways or apart_upwards, (one, other)


def test_every_panel_says_what_it_shows_in_which_unit_and_what_is_good(dashboard: dict[str, Any]):
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)
    for panel in panels(dashboard):
        assert panel["title"]
        assert "Good" in panel["description"] or "good" in panel["description"], panel["title"]
        assert panel["description"].endswith((".", "`).")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])


def test_every_query_goes_to_the_data_source_of_the_dashboard(dashboard: dict[str, Any]):
    for panel in panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert target["expr"]


def test_the_promise_stands_first():
    first = DASHBOARDS["tiercast-delivery"].json()["panels"][1]
    assert first["title"] == "Delivered within 500 ms"
    assert first["gridPos"]["y"] == 1
