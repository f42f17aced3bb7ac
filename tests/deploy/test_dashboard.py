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

from tests.deploy.expressions import (
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
from tests.deploy.test_alerts import promtool
from tests.deploy.watch import Watch, watching
from tests.support.source_tree import read
from tests.support.waiting import within

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
    chosen = re.sub(r'"\$(?:job|instance|client)"', '".+"', expression)
    assert "$" not in chosen.replace("$__rate_interval", "")
    return re.sub(r"\[(?:\$__rate_interval|\d+m)\]", f"[{window}]", chosen)


def test_rows_and_variables() -> None:
    """The dashboard has these rows, and can be turned to any data source, process and client."""
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        *("Overview", "Tokens", "Requests", "Latency", "Refusals", "Upstream", "Resources")
    ]
    assert [variable["name"] for variable in VARIABLES] == [
        *("datasource", "job", "instance", "client")
    ]
    for asked in (*PANELS, *TARGETS, *VARIABLES[1:]):
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


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_panels_say_what_they_show(panel: dict[str, Any]) -> None:
    """Each has a description and a unit, and follows the chosen processes."""
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        for name, matchers in MATCHERS.findall(target["expr"]):
            assert 'job=~"$job", instance=~"$instance"' in matchers, name


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
    async with scene(tmp_path / "proxy", "/mock/echo", "/auth/open/connect/token") as running:
        await running.break_it(*FAULTS)
        async with watching([running.admin], tmp_path) as watch:
            await all_find_something(watch, [target["expr"] for target in TARGETS])
            for target in TARGETS:
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                for labels in await answers(watch, target["expr"]):
                    assert legend <= set(labels), target
            await all_find_something(watch, QUERIES)
        for command in COMMANDS:
            await run(command, running.admin)
        url = f"http://127.0.0.1:{running.admin}/metrics"
        async with running.session.get(url) as answer:
            assert_names_exist(await answer.text())
