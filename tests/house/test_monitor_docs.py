"""docs/monitor.md says what a running proxy tells: metrics, events, /status, /readyz."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.admin.test_metrics import families, used
from tests.support.callers import SHOP_KEY, bearer, key_file
from tests.support.messages import Message, reply, request
from tests.support.running_proxy import proxied
from tests.support.source_tree import PACKAGE_MODULES, read
from tests.support.token_server import TokenServer

PAGE = read("docs/monitor.md")
METRIC = re.compile(r"^\| `signicat_proxy_(\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
EVENT = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|$", re.MULTILINE)
LOGGED = re.compile(r"(?:log\.(?:debug|info|warning|error|critical)|write|Risk)\(\s*\"(\w+)\"")
ROWS = {name: (kind, labels, text) for name, kind, labels, text in METRIC.findall(PAGE)}


def quoted(text: str) -> set[str]:
    """Return the names that a text sets in code."""
    return set(re.findall(r"`([^`]+)`", text))


def events() -> dict[str, str]:
    """Return what the page says of each log event."""
    rows = EVENT.findall(PAGE.partition("## Logs")[2])
    return {name: text for names, text in rows for name in quoted(names)}


def section(title: str) -> str:
    """Return the text below a heading, up to the next."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", ROWS)
def test_types_and_labels_of_metrics_are_right(name: str) -> None:
    """Each row has the type and the labels that a scrape has."""
    kind, labels, _ = ROWS[name]
    family = families(used())[name.removesuffix("_total")]
    assert kind == family.type
    seen = {label for sample in family.samples for label in sample.labels}
    assert quoted(labels) == seen - {"le"}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("upstream_errors_total", "reason"),
        ("upstream_connections", "state"),
        ("replays_total", "outcome"),
        ("name_lookups_total", "outcome"),
    ],
)
def test_values_of_labels_are_right(name: str, label: str) -> None:
    """Where a row lists the values of its label, it lists all of them, and no other."""
    family = families(used())[name.removesuffix("_total")]
    assert quoted(ROWS[name][2]) == {sample.labels[label] for sample in family.samples}


def test_every_event_is_named() -> None:
    """Each log event has its row, warnings of settings included; no row is for one that is gone."""
    logged = {name for path in PACKAGE_MODULES for name in LOGGED.findall(path.read_text("utf-8"))}
    assert {"token_request", "token_refused", "host_check_off"} <= logged
    assert set(events()) == logged | {"request", "library"}


async def test_what_is_logged_is_explained(tokens: TokenServer, tmp_path: Path) -> None:
    """The rows of requests and token requests name the facts in their events, and no other."""
    refused = [reply("401 Unauthorized")]

    async def answer(_: Message) -> bytes:
        return refused.pop() if refused else reply("200 OK", "x-trace-id: b")

    config = tmp_path / "callers.toml"
    config.write_text(f'[callers.shop]\nkey_file = "{key_file(tmp_path, SHOP_KEY)}"\n')
    headers = (
        bearer(SHOP_KEY),
        "X-Request-ID: a",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    async with proxied(tokens, answer, config_file=config) as (proxy, _):
        assert (await proxy.ask(request("GET /", *headers))).status == 200
        assert (await proxy.ask(request("GET /", host="evil.test"))).status == 421
        tokens.failure = reply("400 Bad Request", "x-trace-id: c", body=b'{"error":"odd"}')
        await proxy.admin("POST /-/refresh")
        await proxy.metric_becomes(1, "token_requests_total", outcome="oauth_error")
        logged: dict[str, set[str]] = {}
        for log in proxy.logs:
            logged.setdefault(log["event"], set()).update(log)
    for name in ("request", "token_request"):
        facts = logged[name] - {"timestamp", "level", "event"}
        named = quoted(events()[name]) - {"SIGNICAT_PROXY_ACCESS_LOG", "ok"}
        assert named | {"client"} == facts | {"client"}, name


async def test_what_status_tells_is_explained(tokens: TokenServer) -> None:
    """Every member of /status and of the probes stands on the page."""
    async with proxied(tokens, reply("500 Internal Server Error")) as (proxy, _):
        await proxy.ask(request("GET /"))
        status: dict[str, Any] = json.loads((await proxy.admin("GET /status")).body)
        ready: dict[str, Any] = json.loads((await proxy.admin("GET /readyz")).body)
    explained = quoted(PAGE.partition("## Endpoints")[2].partition("## Metrics")[0])
    (client,) = status["clients"].values()
    for part in (
        status,
        status["last_minute"],
        client,
        status["recent"][0],
        *ready["clients"].values(),
    ):
        assert set(part) <= explained
    assert quoted(section("The status page")) >= {"refused", "failed", "upstream_response", "left"}
