"""Alerts and dashboard are the files' but for what values change; monitors are as values say."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml

from proxy.telemetry.histogram import BOUNDS
from tests.deploy.chart import GATEWAY_VALUES, SCHEMA, SIDECAR_VALUES, merged, only, render
from tests.deploy.chart_cases import RENDERED, SCRAPED
from tests.deploy.expressions import DASHBOARD, RULES
from tests.deploy.test_alerts import ALERTS, GROUPS, promtool
from tests.support.source_tree import read

VALUES = merged(
    GATEWAY_VALUES, {name: {"enabled": True} for name in ("prometheusRule", "grafanaDashboard")}
)


def dashboard(values: dict[str, Any]) -> Any:
    """Return the dashboard in the ConfigMap that Grafana's sidecar finds by its label."""
    (config,) = [
        found
        for found in render(values)
        if found["kind"] == "ConfigMap" and found["metadata"]["name"].endswith("-dashboard")
    ]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    (text,) = config["data"].values()
    return json.loads(text)


def test_the_rules_are_installed_unchanged() -> None:
    """Helm leaves the braces in the alerts' texts to Prometheus."""
    rule = only(render(VALUES), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(read(RULES))


def installed(**values: Any) -> dict[str, Any]:
    """Return the specification of the PrometheusRule with these values of it."""
    rule = only(render(merged(VALUES, {"prometheusRule": values})), "PrometheusRule")
    spec: dict[str, Any] = rule["spec"]
    return spec


def rules_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all rules by their names."""
    return {
        rule.get("alert") or rule["record"]: rule
        for group in spec["groups"]
        for rule in group["rules"]
    }


UNCHANGED = rules_of({"groups": GROUPS})


def test_one_alert_is_changed_and_no_other() -> None:
    """`for`, `severity` and `labels` of an alert are its own; `alertLabels` are everybody's."""
    found = rules_of(
        installed(
            alertLabels={"team": "identity", "page": "no"},
            rules={
                "SignicatProxyUpstreamServerErrors": {
                    "for": "15m",
                    "severity": "critical",
                    "labels": {"page": "yes"},
                }
            },
        )
    )
    expected = copy.deepcopy(UNCHANGED)
    for name in ALERTS:
        expected[name]["labels"] |= {"team": "identity", "page": "no"}
    changed = expected["SignicatProxyUpstreamServerErrors"]
    changed["for"] = "15m"
    changed["labels"] = {"severity": "critical", "team": "identity", "page": "yes"}
    assert found == expected


def test_an_alert_is_left_out() -> None:
    """A disabled alert is gone, and a group with it where it has no other."""
    off = {"disabled": True}
    found = rules_of(installed(rules={"SignicatProxyAbsent": off}))
    assert set(UNCHANGED) - set(found) == {"SignicatProxyAbsent"}
    (group,) = [group for group in GROUPS if group["name"] == "signicat-proxy.tokens"]
    spec = installed(rules={rule["alert"]: off for rule in group["rules"]})
    assert [group["name"] for group in spec["groups"]] == [
        group["name"] for group in GROUPS if group["name"] != "signicat-proxy.tokens"
    ]


def test_the_schema_knows_every_alert() -> None:
    """The names that values may change are those of the file, and a typo does not pass."""
    assert SCHEMA["definitions"]["alertName"]["enum"] == list(ALERTS)
    with pytest.raises(helm.HelmError, match="SignicatProxyDwon"):
        installed(rules={"SignicatProxyDwon": {"disabled": True}})


def test_links_lead_to_a_runbook_of_ones_own() -> None:
    """`runbookUrl` stands before the name of each section."""
    url = "https://git.example.com/docs/runbook.md"
    for name, rule in rules_of(installed(runbookUrl=url)).items():
        if name in ALERTS:
            assert rule["annotations"]["runbook_url"] == f"{url}#{name.lower()}"
    changed = dashboard(merged(VALUES, {"prometheusRule": {"runbookUrl": url}}))
    (runbook,) = [v for v in changed["templating"]["list"] if v["name"] == "runbook"]
    assert runbook["current"] == {"text": url, "value": url}
    assert json.loads(json.dumps(changed).replace(url, "docs/runbook.md")) == DASHBOARD


@pytest.mark.parametrize(
    ("value", "target", "prefix"),
    [
        ("availability", "0.999", "SignicatProxyErrorBudgetBurn"),
        ("upstreamAvailability", "0.995", "SignicatProxyUpstreamBudgetBurn"),
        ("latency", "0.99", "SignicatProxyLatencyBudgetBurn"),
    ],
)
@pytest.mark.parametrize("share", [0.95, 0.995, 0.9999])
def test_a_target_is_changed(value: str, target: str, prefix: str, share: float) -> None:
    """An objective is that of its own two alerts, in every place of them."""
    expected = copy.deepcopy(UNCHANGED)
    for name, rule in expected.items():
        if name.startswith(prefix):
            assert rule["expr"].count(f"(1 - {target})") >= 2
            rule["expr"] = rule["expr"].replace(f"(1 - {target})", f"(1 - {share})")
    assert rules_of(installed(objectives={value: share})) == expected


def test_every_target_can_be_missed() -> None:
    """With the lowest target that is taken, the fast alerts still need less than every failure."""
    lowest = SCHEMA["definitions"]["share"]["minimum"]
    factors = {
        float(factor)
        for rule in UNCHANGED.values()
        for factor in re.findall(r"> ([\d.]+) \* \(1 - ", rule["expr"])
    }
    assert max(factors) == 14.4
    assert max(factors) * (1 - lowest) < 0.75


def test_what_counts_as_slow_is_changed(tmp_path: Path) -> None:
    """Another bound of the buckets is in the expression and the texts, in both spellings."""
    bounds = SCHEMA["properties"]["prometheusRule"]["properties"]["objectives"]["properties"][
        "latencySeconds"
    ]["enum"]
    assert set(bounds) <= set(BOUNDS)
    for seconds, matcher in ((5, 'le=~"5|5.0"'), (0.25, 'le="0.25"')):
        spec = installed(objectives={"latencySeconds": seconds})
        text = json.dumps(spec)
        assert text.count(json.dumps(matcher)[1:-1]) == 1
        assert text.count(f"longer than {seconds} seconds") == 2
        assert "2.5" not in text.replace("0.25", "")
        path = tmp_path / "rules.yaml"  # JSON is YAML
        path.write_text(text, "utf-8")
        assert "SUCCESS" in promtool("check", "rules", str(path))


def test_the_dashboard_is_installed_unchanged() -> None:
    """Helm leaves the braces in legends to Grafana."""
    assert dashboard(VALUES) == DASHBOARD


@pytest.mark.parametrize(
    ("case", "kind", "endpoints"),
    [
        ("gateway with everything", "ServiceMonitor", "endpoints"),
        ("sidecar with everything", "PodMonitor", "podMetricsEndpoints"),
    ],
)
def test_a_monitor_asks_as_the_values_say(case: str, kind: str, endpoints: str) -> None:
    """Every value of a monitor is where the operator looks for it."""
    monitor = only(RENDERED[case], kind)
    assert monitor["metadata"]["namespace"] == SCRAPED["namespace"]
    assert monitor["spec"]["jobLabel"] == SCRAPED["jobLabel"]
    (endpoint,) = monitor["spec"][endpoints]
    asked = ("scrapeTimeout", "scheme", "tlsConfig", "relabelings", "metricRelabelings")
    assert {key: endpoint[key] for key in asked} == {key: SCRAPED[key] for key in asked}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (merged(GATEWAY_VALUES, {"serviceMonitor": {"enabled": True}}), "ServiceMonitor"),
        (
            merged(SIDECAR_VALUES, {"podMonitor": {"enabled": True, "podLabels": {"app": "shop"}}}),
            "PodMonitor",
        ),
    ],
)
def test_a_monitor_is_plain_by_default(values: dict[str, Any], kind: str) -> None:
    """What nobody asks for is left to Prometheus; the pods are in the release's namespace."""
    monitor = only(render(values), kind)
    assert set(monitor["spec"]) & {"jobLabel"} == set()
    assert monitor["metadata"]["namespace"] == "prod"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["prod"]}
    (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
    assert set(endpoint) == {"port", "path", "interval"}


def test_the_sidecars_may_be_in_several_namespaces() -> None:
    """One release with the monitor can be for many applications."""
    monitor = only(RENDERED["sidecar with everything"], "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["shop", "bank"]}
