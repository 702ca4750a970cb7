"""Rows of panels, laid out on Grafana's grid."""

from dataclasses import dataclass, field

from tiercast_dashboards.panel import DATASOURCE, Json, Panel

COLUMNS = 24
SCHEMA_VERSION = 39
"""Of Grafana 11; newer ones migrate it as they load it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its panels, from left to right and top to bottom."""

    title: str
    panels: list[Panel]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page. `uid` is part of its address and never changes."""

    uid: str
    title: str
    description: str
    rows: list[Row]
    variables: list[Json] = field(default_factory=list)

    def json(self) -> Json:
        """As Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["tiercast"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "links": [
                {
                    "type": "dashboards",
                    "title": "Tiercast",
                    "tags": ["tiercast"],
                    "asDropdown": False,
                    "includeVars": False,
                    "keepTime": True,
                }
            ],
            "templating": {"list": [_datasource_variable(), *self.variables]},
            "annotations": {"list": [_alerts()]},
            "panels": self._panels(),
        }

    def _panels(self) -> list[Json]:
        panels: list[Json] = []
        y = 0
        for row in self.rows:
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            panels.append(
                {
                    "id": len(panels) + 1,
                    "type": "row",
                    "title": row.title,
                    "collapsed": False,
                    "gridPos": place,
                    "panels": [],
                }
            )
            x, y, tallest = 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, tallest = 0, y + tallest, 0
                panels.append(panel.json(len(panels) + 1, x, y))
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest
        return panels


def query_variable(name: str, label: str, query: str) -> Json:
    """A choice of label values, all of them at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _datasource_variable() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "Prometheus", "value": "prometheus"},
        "hide": 0,
    }


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "expr": 'ALERTS{alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{job}} {{instance}}",
        "iconColor": "red",
        "step": "10s",
    }
