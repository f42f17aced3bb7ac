"""The dashboard and the runbook's queries: each finds something at a proxy that runs."""

import asyncio
import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.admin.test_metrics import EXPECTED
from tests.deploy.expressions import (
    ASKING_VARIABLES,
    DASHBOARD,
    MATCHERS,
    PANELS,
    QUERIES,
    RULES,
    TARGETS,
    VARIABLES,
    assert_names_exist,
)
from tests.deploy.scene import scene
from tests.deploy.test_alert_fleets import assert_finds, outage
from tests.deploy.test_alerts import promtool
from tests.deploy.watch import Watch, watching
from tests.support.source_tree import read
from tests.support.waiting import within

CHOSEN = ("cluster", "namespace", "job", "pod", "instance")
GRAPHS = [panel for panel in PANELS if "targets" in panel]
OPTIONAL = {"cluster", "container", "namespace", "pod"}
"""Labels that a scrape has only in a cluster."""
ASKED = [target["expr"] for target in TARGETS if "container_" not in target["expr"]]
"""What a scrape of proxies alone has something for."""
COMMANDS = [
    command
    for block in re.findall(r"```sh\n(.*?)\n```", read("docs/runbook.md"), re.DOTALL)
    for command in block.splitlines()
    if "$ADMIN" in command
]
FAULTS = [
    {"kind": "reset", "probability": 0.3, "target": "api"},
    {"kind": "unauthorized", "probability": 0.3, "target": "api"},
]


def concrete(expression: str, window: str) -> str:
    """Fill in what Grafana would: everything chosen, and a window for rates."""
    chosen = re.sub(r'"\$(?:cluster|namespace|job|pod|instance|client|route)"', '".*"', expression)
    assert "$" not in chosen.replace("$__rate_interval", "")
    return re.sub(r"\[(?:\$__rate_interval|\d+m)\]", f"[{window}]", chosen)


def test_rows_and_variables() -> None:
    """The dashboard has these rows, and can be turned to any data source, fleet, client, route."""
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        *("Overview", "Tokens", "Requests", "Latency", "Refusals", "Upstream", "Resources")
    ]
    names = [variable["name"] for variable in VARIABLES]
    assert names == ["datasource", *CHOSEN, "client", "route", "runbook"]
    for variable in ASKING_VARIABLES:
        assert (variable["multi"], variable["includeAll"]) == (True, True)
        assert variable["allValue"] == ".*"  # also where there is no such label
        before = names[1 : names.index(variable["name"])]
        assert re.findall(r'(\w+)=~"\$\1"', variable["query"]["query"]) == before
    for asked in (*PANELS, *TARGETS, *ASKING_VARIABLES, DASHBOARD["annotations"]["list"][1]):
        assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_lie_side_by_side() -> None:
    """No two panels cover one another, none leaves the 24 columns, and each has its number."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        columns = range(grid["x"], grid["x"] + grid["w"])
        cells = set(itertools.product(columns, range(grid["y"], grid["y"] + grid["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: str(panel["title"]))
def test_panels_say_what_they_show(panel: dict[str, Any]) -> None:
    """Each has a description, a unit and a word for nothing, and follows what is chosen."""
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["noValue"]
    chosen = ", ".join(f'{name}=~"${name}"' for name in CHOSEN)
    for target in panel["targets"]:
        for name, matchers in MATCHERS.findall(target["expr"]):
            assert chosen in matchers or name.startswith("container_"), name
            assert ("$client" in matchers, "$route" in matchers) == follows(name), name


def follows(name: str) -> tuple[bool, bool]:
    """Say whether a series has the labels that the variables `client` and `route` choose."""
    base = re.sub(r"_(?:bucket|sum|count|total)$", "", name.removeprefix("signicat_proxy_"))
    _, labels = EXPECTED.get(base, ("", set[str]()))
    return "client" in labels, "route" in labels


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: str(panel["title"]))
def test_durations_lead_to_traces(panel: dict[str, Any]) -> None:
    """A panel of a duration histogram over time asks for its exemplars: once, or points double."""
    asking = [target for target in panel["targets"] if target.get("exemplar")]
    shown = " ".join(target["expr"] for target in panel["targets"])
    has_exemplars = "_duration_seconds_bucket" in shown and panel["type"] != "stat"
    assert len(asking) == has_exemplars
    assert all("_duration_seconds_bucket" in target["expr"] for target in asking)


def test_the_list_of_alerts_is_of_ours() -> None:
    """One panel lists what fires or is about to, of the rules whose names are ours."""
    (alerts,) = [panel for panel in PANELS if "targets" not in panel]
    assert alerts["type"] == "alertlist"
    assert alerts["options"]["alertName"] == "SignicatProxy"
    states = alerts["options"]["stateFilter"]
    assert {name for name, is_shown in states.items() if is_shown} == {"error", "firing", "pending"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_leads_to_its_sections_of_the_runbook(panel: dict[str, Any]) -> None:
    """Each alert that a description names is a link, to wherever the runbook is."""
    named = re.findall(r"SignicatProxy\w+", panel["description"])
    assert [link["url"] for link in panel.get("links", ())] == [
        f"${{runbook:raw}}#{name.lower()}" for name in named
    ]


@pytest.mark.parametrize(
    ("title", "before", "after"),
    [("Clients", 2, 2), ("Clients without a token", 0, 2), ("Processes without a token", 0, 6)],
)
def test_clients_are_counted_once(tmp_path: Path, title: str, before: int, after: int) -> None:
    """Two clients of a fleet of six are two, and not twelve; their processes are six."""
    (panel,) = [panel for panel in PANELS if panel["title"] == title]
    (target,) = panel["targets"]
    clients = ("auth", "sign") if "client" in target["legendFormat"] else ("",)
    labels = [f'{{client="{name}",job="orders"}}' if name else "{}" for name in clients]
    for minutes, value in ((1, before), (12, after)):
        found = [(label, value) for label in labels]
        assert_finds(tmp_path, outage(), minutes, concrete(target["expr"], "5m"), found)


def test_starts_are_marked() -> None:
    """An annotation stands at the time of each start: the value is that time."""
    _, starts = DASHBOARD["annotations"]["list"]
    assert starts["useValueForTime"] is True
    assert starts["expr"].startswith("(process_start_time_seconds{")


def test_alerts_that_panels_name_exist() -> None:
    """A panel sends nobody to an alert that there is not."""
    named = re.findall(r"SignicatProxy\w+", json.dumps(DASHBOARD))
    assert named
    assert all(f"alert: {name}\n" in read(RULES) for name in named)


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    """As a throw-away recording rule, each expression of dashboard and runbook is valid."""
    expressions = [target["expr"] for target in TARGETS] + QUERIES
    rules = [
        {"record": f"test:number_{number}", "expr": concrete(expression, "5m")}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "rules.yaml"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "test", "rules": rules}]}), "utf-8")
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", str(path))


async def answers(watch: Watch, expression: str) -> list[dict[str, str]]:
    """Return the labels of each series that Prometheus finds."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{watch.url}/api/v1/query", params={"query": concrete(expression, "5s")}
        ) as answer,
    ):
        body = await answer.json()
    assert body["status"] == "success", (expression, body)
    return [series["metric"] for series in body["data"]["result"]]


async def all_find_something(watch: Watch, expressions: Iterable[str]) -> None:
    """Wait until no query is without an answer."""
    missing = list(expressions)

    async def poll() -> None:
        for pause in itertools.repeat(0.5):
            missing[:] = [asked for asked in missing if not await answers(watch, asked)]
            if not missing:
                return
            await asyncio.sleep(pause)

    try:
        await within(poll(), "every query to find something", 30)
    except AssertionError as error:
        error.add_note("\n".join(missing))
        raise


async def run(command: str, admin: int) -> None:
    """Run a command of the runbook; it must find what it looks for."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-ec", command),
        env={"ADMIN": f"http://localhost:{admin}", "PATH": "/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await within(process.communicate(), command)
    assert process.returncode == 0, command
    assert output, command


async def test_everything_finds_something_at_a_running_proxy(tmp_path: Path) -> None:
    """Names, labels and legends of dashboard, alerts and runbook are those of a real scrape."""
    paths = ("/mock/echo", "/auth/open/connect/token")
    async with scene(tmp_path / "proxy", *paths, has_tls=True, knows_callers=True) as running:
        await running.break_it(*FAULTS)
        async with watching([running.admin], tmp_path) as watch:
            await all_find_something(watch, [*ASKED, DASHBOARD["annotations"]["list"][1]["expr"]])
            for target in TARGETS:
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) - OPTIONAL
                for labels in await answers(watch, target["expr"]):
                    assert legend <= set(labels), target
            await all_find_something(watch, QUERIES)
        for command in COMMANDS:
            await run(command, running.admin)
        url = f"http://127.0.0.1:{running.admin}/metrics"
        async with running.session.get(url) as answer:
            assert_names_exist(await answer.text())
