"""What operators, scripts and alerts rely on, name by name, as the code has it.

`docs/interface` holds it as it was recorded, one name a line and sorted, so that every change
is seen (docs/compatibility.md). `python -m tests.house.interface`, which is `make interface`,
writes the lists anew.
"""

import ast
import asyncio
import contextlib
import io
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel

from proxy.check.report import Report
from proxy.check.result import CHECKS, Result, State
from proxy.commands.cli import main
from proxy.errors import BAD_REQUEST, ERROR_KINDS, ProxyError
from proxy.oauth.response import OUTCOMES
from proxy.problem import problem_reply
from proxy.settings.caller_table import CallerTable
from proxy.settings.client_table import ClientTable, RouteTable
from proxy.settings.loader import load
from proxy.settings.model import Settings, setting_names
from proxy.settings.names import CONFIG_FILE, PREFIX
from proxy.settings.report import settings_report
from proxy.telemetry.counters import TLS_HANDSHAKE
from proxy.telemetry.redaction import Redactor
from proxy.telemetry.request_log import CLIENT_LEFT, CLIENT_STALLED
from proxy.tracing.report import trace_report
from tests.admin.test_metrics import families, used
from tests.house.logged_events import IN_EVERY_EVENT, logged_events
from tests.house.test_settings_docs import shown_default
from tests.support.callers import config_with
from tests.support.recorded_interface import FOLDER, OPEN_LABELS, members
from tests.support.running_proxy import environment, proxied
from tests.support.source_tree import PACKAGE_MODULES, read
from tests.support.tls_callers import ServerFiles
from tests.support.token_server import TokenServer

__all__ = ["LISTS", "changes", "current"]

_CHART: Final = "helm/signicat-proxy"
_ENDPOINT: Final = re.compile(r'web\.(get|post)\("([^"]+)"')
_ALERT: Final = re.compile(r"- alert: (\w+)\n.*?\n +severity: (\w+)", re.DOTALL)
_VALUE: Final = re.compile(r"^\| `([\w.]+)` \| `(.*)` \| [^|]+ \|$", re.MULTILINE)
_TEMPLATE: Final = re.compile(r"^\| `(signicat-proxy\.\w+)` \|", re.MULTILINE)
_OTEL: Final = re.compile(r"^OTEL_[A-Z_]+$")
_NOT_SETTINGS: Final = frozenset(("callers", "clients", "routes"))


def _words(annotation: object) -> Iterator[str]:
    """Yield the words that a setting may be, where they are a closed set."""
    for part in get_args(annotation):
        yield from ([part] if isinstance(part, str) else _words(part))


def _otel_variables() -> Iterator[str]:
    for path in PACKAGE_MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _OTEL.findall(node.value)


def _settings() -> Iterator[str]:
    yield CONFIG_FILE
    yield from _otel_variables()
    for name in setting_names():
        default = shown_default(name)
        variable = f"{PREFIX}{name.upper()}"
        yield f"{variable} = {default}" if default else variable
        words = _words(Settings.model_fields[name].annotation)
        yield from (f"{variable}: {word}" for word in words)
    tables: Mapping[str, type[BaseModel]] = {
        "[callers.NAME]": CallerTable,
        "[clients.NAME]": ClientTable,
        "[[routes]]": RouteTable,
    }
    for table, model in tables.items():
        yield from (f"{table} {name}" for name in model.model_fields)


def _help(*command: str) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return text.getvalue()


def _keys_returned(module: str, function: str) -> list[str]:
    """Return the keys of the first table that stands in a function."""
    (found,) = [
        node
        for node in ast.walk(ast.parse(read(module)))
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    table = next(node for node in ast.walk(found) if isinstance(node, ast.Dict))
    return [str(key.value) for key in table.keys if isinstance(key, ast.Constant)]


def _check_results() -> Any:
    stream = io.StringIO()
    report = Report(stream, Redactor(), as_json=True)
    report.add(Result("settings", "ok", "", ""))
    report.end()
    return json.loads(stream.getvalue())


def _config_report() -> Mapping[str, object]:
    """Return what `config --json` shows of a setting, and of each table."""
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(upstream="http://localhost", token_url="http://localhost/token")
        file = config_with(Path(folder))
        report = settings_report(load(config_file=file, environ=environ, directory=Path(folder)))
    tables = {name: value for name, value in report.items() if name in _NOT_SETTINGS}
    tables["traces"] = {
        **trace_report({"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}),
        "variables": {"NAME": "(set)"},
    }
    return {"SETTING": report["scope"], **tables}


def _commands() -> Iterator[str]:
    text = _help()
    for code, meaning in re.findall(r"(\d) (\w[\w ]*)", text.partition("Exit codes:")[2]):
        yield f"exit code {code}: {meaning}"
    flags = {"--" + name.replace("_", "-") for name in setting_names()}
    for command in re.findall(r"^    (\w+) ", text, re.MULTILINE):
        yield command
        own = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", _help(command), re.MULTILINE))
        if "--scope" in own:
            own -= flags
            yield f"{command} --SETTING"
        if command != "mock":
            yield from (f"{command} {flag}" for flag in own - {"--help"})
    yield from (f"check --json {name}" for name in members(_check_results()))
    yield from (f"check --json [].id: {name}" for name in CHECKS)
    yield from (f"check --json [].state: {name}" for name in get_args(State))
    yield from (f"config --json {name}" for name in members(_config_report()))
    keys = _keys_returned("proxy/commands/token.py", "_as_json")
    yield from (f"token --json {name}" for name in keys)


def _errors() -> Iterator[str]:
    for kind in ERROR_KINDS:
        yield f"{kind.code} {kind.status}"
        yield f"{kind.code} Proxy-Status: {kind.proxy_error}"
    _, _, body = problem_reply(ProxyError(BAD_REQUEST, ""), "")
    yield from (f"(every error) {name}" for name in json.loads(body))


def _metrics() -> Iterator[str]:
    for family in families(used()).values():
        suffix = "_total" if family.type == "counter" else ""
        name = f"{family.name}{suffix}"
        yield f"{name} {family.type}"
        for sample in family.samples:
            for label, value in sample.labels.items():
                yield f"{name}{{{label}}}"
                if label not in OPEN_LABELS:
                    yield f'{name}{{{label}="{value}"}}'


def _log_events() -> Iterator[str]:
    yield from (f"(every event) {name}" for name in IN_EVERY_EVENT)
    for event, names in logged_events().items():
        yield event
        yield from (f"{event} {name}" for name in names)
    yield from (f"token_request outcome: {outcome}" for outcome in OUTCOMES)
    ends = ("ok", CLIENT_LEFT, CLIENT_STALLED, TLS_HANDSHAKE)
    yield from (f"request outcome: {end}" for end in ends)


async def _admin_documents() -> dict[str, Any]:
    """Return what a proxy tells of itself where there is something of everything."""
    probes = ("/livez", "/startupz", "/readyz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with TokenServer() as tokens:
            values = {"config_file": config_with(folder), **ServerFiles(folder).settings}
            async with proxied(tokens, **values) as (proxy, _):
                assert (await proxy.admin("GET /none")).status == 404  # one recent error
                asked = [f"GET {path}" for path in (*probes, "/status")]
                asked.append("POST /-/refresh")
                return {start: json.loads((await proxy.admin(start)).body) for start in asked}


def _admin() -> Iterator[str]:
    for method, path in _ENDPOINT.findall(read("proxy/admin/app.py")):
        yield f"{method.upper()} {path}"
    yield "GET /readyz?require=first-token"
    for start, document in asyncio.run(_admin_documents()).items():
        if "settings" in document:  # as `config --json` shows them
            document["settings"] = {}
        yield from (f"{start} {name}" for name in members(document))


def _chart_values(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each value that a schema knows; `NAME` is what an operator names."""
    rules = (
        _SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    )
    for name, inner in rules.get("properties", {}).items():
        here = f"{path}.{name}".removeprefix(".")
        yield here
        yield from _chart_values(inner, here)
    if isinstance(rules.get("additionalProperties"), dict):
        yield from _chart_values(rules["additionalProperties"], f"{path}.NAME")
    if "items" in rules:
        yield from _chart_values(rules["items"], f"{path}[]")


_SCHEMA: Final[Mapping[str, Any]] = json.loads(read(f"{_CHART}/values.schema.json"))


def _chart() -> Iterator[str]:
    readme = read(f"{_CHART}/README.md")
    defaults = dict(_VALUE.findall(readme))
    for path in _chart_values(_SCHEMA):
        yield f"{path} = {defaults[path]}" if path in defaults else path
    yield from (f"template {name}" for name in _TEMPLATE.findall(readme))


def _alerts() -> Iterator[str]:
    for name, severity in _ALERT.findall(read(f"{_CHART}/files/alerts.yaml")):
        yield f"{name} severity: {severity}"


LISTS: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "admin": _admin,
    "alerts": _alerts,
    "chart": _chart,
    "commands": _commands,
    "errors": _errors,
    "log-events": _log_events,
    "metrics": _metrics,
    "settings": _settings,
}
"""What makes each list, by the name of its file."""


def current(name: str) -> list[str]:
    """Return a list as the code makes it."""
    return sorted(set(LISTS[name]()))


def changes(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """Return what is gone and what is new, as lines of a diff."""
    old, new = set(before), set(after)
    return [f"- {line}" for line in sorted(old - new)] + [f"+ {line}" for line in sorted(new - old)]


if __name__ == "__main__":
    for list_name in LISTS:
        (FOLDER / f"{list_name}.txt").write_text(
            "".join(f"{line}\n" for line in current(list_name))
        )
