"""Grafana dashboards as code: `python -m tiercast_dashboards` writes their JSON."""
