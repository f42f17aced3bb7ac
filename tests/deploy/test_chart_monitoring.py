"""The chart installs alerts and dashboard as the files have them."""

import json

import yaml

from tests.deploy.chart import GATEWAY_VALUES, merged, only, render
from tests.deploy.expressions import DASHBOARD, RULES
from tests.support.source_tree import read

VALUES = merged(
    GATEWAY_VALUES, {name: {"enabled": True} for name in ("prometheusRule", "grafanaDashboard")}
)


def test_the_rules_are_installed_unchanged() -> None:
    """Helm leaves the braces in the alerts' texts to Prometheus."""
    rule = only(render(VALUES), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(read(RULES))


def test_the_dashboard_is_installed_unchanged() -> None:
    """Helm leaves the braces in legends to Grafana, whose sidecar finds the ConfigMap by label."""
    (config,) = [
        found
        for found in render(VALUES)
        if found["kind"] == "ConfigMap" and found["metadata"]["name"].endswith("-dashboard")
    ]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert [json.loads(text) for text in config["data"].values()] == [DASHBOARD]
