"""The alert rules, by Prometheus's own tool: valid, unit-tested, and each with its page."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.expressions import RULES
from tests.deploy.watch import ALERTMANAGER
from tests.support.oidc_server import required_program
from tests.support.source_tree import ROOT, read

CASES = "tests/deploy/alert_cases.yaml"
BUDGETS = "tests/deploy/alert_budget_cases.yaml"
INHIBITIONS = "helm/signicat-proxy/files/alertmanager-inhibit.yaml"
RECORD = re.compile(r"namespace_job(?:_client)?:signicat_proxy_\w+:(?:ratio|(?:ratio_)?rate(\w+))")
CASE = re.compile(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:( \[\])?$", re.MULTILINE)
CONFIGURATION = re.compile(r"```yaml\n(scrape_configs:.*?)```", re.DOTALL)
SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
GROUPS = yaml.safe_load(read(RULES))["groups"]
RULE_LIST = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULE_LIST if "alert" in rule}
RUNBOOK = dict(SECTION.findall(read("docs/runbook.md")))


def promtool(*arguments: str) -> str:
    """Run promtool in the repository; it must find nothing wrong."""
    done = subprocess.run(
        [required_program("promtool"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_valid() -> None:
    """`promtool check rules` reads every rule that stands in the file."""
    assert f"SUCCESS: {len(RULE_LIST)} rules found" in promtool("check", "rules", RULES)


@pytest.mark.parametrize("cases", [CASES, BUDGETS])
def test_every_alert_fires_when_it_should_and_only_then(cases: str) -> None:
    """The unit tests of the rules pass: labels, texts and times."""
    assert "SUCCESS" in promtool("test", "rules", cases)


def test_rules_are_about_fleets() -> None:
    """Every rule adds up processes; what is recorded is named after what is left of the labels."""
    for rule in RULE_LIST:
        process = set(re.findall(r"\bby \(([^)]*)\) \(", rule["expr"]))
        if rule.get("alert") != "SignicatProxyAbsent":
            assert process or RECORD.search(rule["expr"]), rule
        if "record" in rule:
            match = RECORD.fullmatch(rule["record"])
            assert match, rule["record"]
            level = "cluster, namespace, job" + ", client" * ("_client:" in rule["record"])
            assert process <= {level}
            assert bool(process) == (":ratio_rate" not in rule["record"])
            assert set(re.findall(r"\[(\w+)(?::\w+)?\]", rule["expr"])) <= {match[1]}


def test_long_windows_are_of_what_is_recorded() -> None:
    """Over hours, no rule loads the series of each process: a large fleet has too many."""
    for rule in RULE_LIST:
        for name, window in re.findall(r"([\w:]+)(?:\{[^}]*\})?\[(\w+)(?::\w+)?\]", rule["expr"]):
            if window[-1] in "hd" and name != "signicat_proxy_build_info":
                assert RECORD.fullmatch(name), rule


def test_no_share_is_infinite() -> None:
    """What a share is of has been seen to be more than nothing: no alert says `+Inf%`."""
    never_zero = re.compile(r"_limit|_cpu_period|300|60")
    for rule in RULE_LIST:
        for divisor in re.findall(r"/ (.*)", rule["expr"].replace("(\n", "( ")):
            assert "> 0" in divisor or never_zero.search(divisor), rule


def discovered(port: str, phase: str) -> dict[str, object]:
    """Return a target as Kubernetes would name it."""
    meta = {"pod_container_port_name": port, "pod_phase": phase}
    meta |= {"namespace": "shop", "pod_name": "orders-1"}
    meta |= {"pod_container_name": "signicat-proxy"}
    labels = {f"__meta_kubernetes_{name}": value for name, value in meta.items()}
    return {"targets": ["10.1.2.3:8081"], "labels": labels}


def test_the_configuration_for_sidecars_finds_them(tmp_path: Path) -> None:
    """Of all ports of all pods the proxies' are kept, and named after their pods.

    Debian's Prometheus is built without Kubernetes, so the targets are written down.
    """
    sidecars, _ = CONFIGURATION.findall(read("docs/monitor.md"))
    ports = [("proxy-admin", "Running"), ("http", "Running"), ("proxy-admin", "Succeeded")]
    targets = json.dumps([discovered(*port) for port in ports])
    find = "    kubernetes_sd_configs:\n      - role: pod\n"
    assert find in sidecars
    path = tmp_path / "prometheus.yml"
    path.write_text(sidecars.replace(find, f"    static_configs: {targets}\n"), "utf-8")
    (tmp_path / "alerts.yaml").write_text(read(RULES), "utf-8")
    assert f"SUCCESS: {len(RULE_LIST)} rules found" in promtool("check", "config", str(path))
    command = ("check", "service-discovery", "--timeout=1s", str(path), "signicat-proxy")
    kept = [target["labels"] for target in json.loads(promtool(*command)) if target["labels"]]
    names = [{k: v for k, v in labels.items() if not k.startswith("__")} for labels in kept]
    assert names == [
        {
            "container": "signicat-proxy",
            "instance": "10.1.2.3:8081",
            "job": "signicat-proxy",
            "namespace": "shop",
            "pod": "orders-1",
        }
    ]


def test_the_configuration_for_one_process_is_valid(tmp_path: Path) -> None:
    """Prometheus reads it beside the rule file."""
    _, single = CONFIGURATION.findall(read("docs/monitor.md"))
    path = tmp_path / "prometheus.yml"
    path.write_text(single, "utf-8")
    (tmp_path / "alerts.yaml").write_text(read(RULES), "utf-8")
    assert f"SUCCESS: {len(RULE_LIST)} rules found" in promtool("check", "config", str(path))


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_unit_tested(alert: str) -> None:
    """Each has a case in which it fires, and one in which it does not."""
    cases = {silent for name, silent in CASE.findall(read(CASES) + read(BUDGETS)) if name == alert}
    assert cases == {"", " []"}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_what_is_wrong_and_where_to_read_on(alert: str) -> None:
    """Each has a severity, a summary, a description, and the address of its own section."""
    rule = ALERTS[alert]
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(rule["annotations"].values())
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{alert.lower()}"


def test_the_page_on_monitoring_lists_every_alert() -> None:
    """docs/monitor.md has a row for each alert, with the severity that it has."""
    rows = re.findall(
        r"^\| `(SignicatProxy\w+)` \| (critical|warning) \|", read("docs/monitor.md"), re.MULTILINE
    )
    assert rows == [(name, rule["labels"]["severity"]) for name, rule in ALERTS.items()]


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    """The runbook has the alerts, all of them, in the order of the file."""
    assert list(RUNBOOK) == list(ALERTS)


@pytest.mark.parametrize("alert", RUNBOOK)
def test_a_section_answers_who_is_woken_at_night(alert: str) -> None:
    """Each tells meaning, impact, what to look at and what to do."""
    words = re.findall(r"^\*\*(.+?)\.\*\*", RUNBOOK[alert], re.MULTILINE)
    assert words in (
        ["Means", "Impact", "Check", "Fix"],
        ["Means", "Impact", "Check and fix"],
    )
    assert "```" in RUNBOOK[alert]


def test_the_inhibitions_are_valid(tmp_path: Path) -> None:
    """Alertmanager reads them, and every alert that they name there is."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(ALERTMANAGER, "utf-8")
    done = subprocess.run(
        (required_program("amtool"), "check-config", path), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sides = [
        re.fullmatch(r'alertname =~? "?([^"]+)"?', matcher)
        for rule in yaml.safe_load(read(INHIBITIONS))["inhibit_rules"]
        for side in ("source_matchers", "target_matchers")
        for matcher in rule[side]
    ]
    for match in sides:
        assert match
        assert any(re.fullmatch(match[1], name) for name in ALERTS), match[1]
        for word in re.findall(r"[A-Z]\w+", match[1].replace("SignicatProxy", "")):
            assert any(word in name for name in ALERTS), word
