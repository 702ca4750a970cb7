"""A panel, and the JSON that Grafana has for it."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "heatmap", "table"]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
"""The dashboard's own variable, so that it works with whatever Prometheus a Grafana has."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, and what its series are called (Grafana's `{{label}}`)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """What is drawn, in which unit (Grafana's names), and in `description` what is good and what is bad."""

    title: str
    description: str
    unit: str
    queries: list[Query]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    thresholds: list[tuple[str, float | None]] = field(default_factory=lambda: [("green", None)])
    """Colour from a value on; None is the lowest."""
    stacked: bool = False
    maximum: float | None = None
    decimals: int | None = None

    def json(self, identity: int, x: int, y: int) -> Json:
        """As Grafana wants it, at this place of the grid."""
        return {
            "id": identity,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [self._target(number, query) for number, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
        }

    def _target(self, number: int, query: Query) -> Json:
        target: Json = {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
        }
        if self.kind == "heatmap":
            target["format"] = "heatmap"
        if self.kind == "table":
            target |= {"format": "table", "instant": True}
        return target

    def _defaults(self) -> Json:
        steps = [{"color": colour, "value": value} for colour, value in self.thresholds]
        defaults: Json = {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.maximum is not None:
            defaults["max"] = self.maximum
        if self.decimals is not None:
            defaults["decimals"] = self.decimals
        if self.kind == "timeseries":
            defaults["min"] = 0
            defaults["custom"] = {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 30 if self.stacked else 5,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "line" if len(self.thresholds) > 1 else "off"},
            }
        return defaults

    def _options(self) -> Json:
        if self.kind == "timeseries":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        if self.kind == "stat":
            return {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "auto",
            }
        if self.kind == "heatmap":
            return {"calculate": False, "yAxis": {"unit": self.unit}, "color": {"mode": "scheme", "scheme": "Oranges"}}
        return {"showHeader": True}
