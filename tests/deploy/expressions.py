"""What alerts, dashboard and pages ask Prometheus, and whether there are such names."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.support.code_blocks import PAGES, code_blocks
from tests.support.source_tree import read

__all__ = [
    "ASKING_VARIABLES",
    "DASHBOARD",
    "MATCHERS",
    "PANELS",
    "QUERIES",
    "RULES",
    "RULE_EXPRESSIONS",
    "TARGETS",
    "TEXT_QUERIES",
    "VARIABLES",
    "assert_names_exist",
]

RULES: Final = "helm/signicat-proxy/files/alerts.yaml"
DASHBOARD: Final[dict[str, Any]] = json.loads(read("helm/signicat-proxy/files/dashboard.json"))
PANELS: Final = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS: Final = [target for panel in PANELS for target in panel.get("targets", ())]
VARIABLES: Final = DASHBOARD["templating"]["list"]
ASKING_VARIABLES: Final = [variable for variable in VARIABLES if variable["type"] == "query"]
QUERIES: Final = [
    block.text.strip()
    for page in PAGES
    for block in code_blocks(page)
    if block.language == "promql"
]
RULE_EXPRESSIONS: Final = re.findall(
    r"^ {8}expr: (?:\|\n)?((?:.*\n)(?: {10}.*\n)*)", read(RULES), re.MULTILINE
)
"""The expressions of alerts and recording rules."""
TEXT_QUERIES: Final = [
    query.replace("%s", "") for query in re.findall(r'printf "([^"]+)" \$of \| query', read(RULES))
]
"""What the texts of the alerts ask for, without the labels of the alert."""
MATCHERS: Final = re.compile(r"\b(\w+)\{([^}]*)\}")
_METRIC: Final = re.compile(r"\b((?:signicat_proxy|process|python)_\w+)\b")
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_VARIABLE: Final = re.compile(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)")
_SCRAPED: Final = {"cluster", "container", "instance", "job", "namespace", "pod"}
_RECORDED: Final = re.compile(r"\b\w+:\w+:\w+\b")
_NEW_LABEL: Final = re.compile(r'"(\w+)", "\w+", "", ""')
_OF_OTHERS: Final = re.compile(r"up|container_\w+")  # of Prometheus, of cAdvisor


def _labels_of(exposition: str) -> dict[str, set[str]]:
    """Return the labels of each series name of a scrape."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _assert_exist(expression: str, known: Mapping[str, set[str]]) -> None:
    """See that metrics exist, and that matchers and groupings name labels that they have."""
    own = _RECORDED.sub("", expression)
    names = set(_METRIC.findall(own))
    assert names <= set(known), expression
    for name, matchers in MATCHERS.findall(own):
        if not _OF_OTHERS.fullmatch(name):
            asked = set(re.findall(r"(\w+)\s*[=!]", matchers))
            assert asked <= known[name] | _SCRAPED, expression
    available = _SCRAPED.union(_NEW_LABEL.findall(own), *(known[name] for name in names))
    for labels in _GROUPING.findall(own):
        assert set(re.findall(r"\w+", labels)) <= available, expression


def assert_names_exist(exposition: str) -> None:
    """See that a scrape has every metric and label that anything here asks for."""
    known = _labels_of(exposition)
    rules = read(RULES)
    assert len(RULE_EXPRESSIONS) == rules.count("- alert:") + rules.count("- record:")
    assert set(_RECORDED.findall(rules)) == set(re.findall(r"- record: (\S+)", rules))
    asked = [target["expr"] for target in TARGETS] + QUERIES + RULE_EXPRESSIONS + TEXT_QUERIES
    for expression in asked:
        _assert_exist(expression, known)
    for variable in ASKING_VARIABLES:
        match = _VARIABLE.fullmatch(variable["query"]["query"])
        assert match, variable
        assert match[2] in known[match[1]] | _SCRAPED
