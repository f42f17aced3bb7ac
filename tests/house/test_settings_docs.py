"""Settings, example file, documentation and `--help` say the same."""

import os
import re
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from proxy.settings.client_table import ClientTable, RouteTable
from proxy.settings.loader import Settings, load, setting_names
from proxy.settings.names import PREFIX
from tests.admin.test_metrics import used
from tests.support.source_tree import ROOT, read

EXAMPLE = re.compile(rf"^# (.+)\n# {PREFIX}([A-Z_]+)=(.*)$", re.MULTILINE)
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def shown_default(name: str) -> str:
    """Return a default as the documentation writes it."""
    default = Settings.model_fields[name].default
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def unit(name: str) -> str:
    """Return the unit of a setting, empty for none."""
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["unit"])


def test_the_example_file_lists_every_setting() -> None:
    """config.example.env holds each setting with sentence, unit and default, in order."""
    expected = [
        (
            f"{Settings.model_fields[name].description}"
            + (f" ({unit(name)})" if unit(name) else ""),
            name.upper(),
            shown_default(name),
        )
        for name in setting_names()
    ]
    assert EXAMPLE.findall(read("config.example.env")) == expected


def test_the_example_file_can_be_used() -> None:
    """Uncommented as it is, with id and secret, the example is a valid configuration."""
    environ = {
        PREFIX + name: value for _, name, value in EXAMPLE.findall(read("config.example.env"))
    }
    environ |= {f"{PREFIX}CLIENT_ID": "sandbox-a", f"{PREFIX}CLIENT_SECRET": "s3cret-of-the-test"}
    loaded = load(environ=environ, directory=ROOT / "docs")
    plain = load(
        environ={key: environ[key] for key in (f"{PREFIX}CLIENT_ID", f"{PREFIX}CLIENT_SECRET")},
        directory=ROOT / "docs",
    )
    assert loaded.settings == plain.settings


def test_the_page_lists_every_setting() -> None:
    """docs/configure.md has a row for each setting: default, unit and sentence of the model."""
    rows = {
        name: (default.strip(" `"), measure, text)
        for name, _, default, measure, text in ROW.findall(read("docs/configure.md"))
    }
    assert rows == {
        name.upper(): (
            shown_default(name) or "unset",
            unit(name) or "-",
            Settings.model_fields[name].description,
        )
        for name in setting_names()
    }


@pytest.mark.parametrize("table", [ClientTable, RouteTable], ids=lambda table: table.__name__)
def test_the_page_names_every_key_of_a_table(table: type[BaseModel]) -> None:
    """What `[clients.NAME]` and `[[routes]]` may hold stands below the example."""
    text = read("docs/configure.md").partition("## Several clients")[2].partition("\n## ")[0]
    assert {f"`{name}`" for name in table.model_fields} <= set(re.findall(r"`\w+`", text))


def test_help_lists_every_setting_but_the_secrets() -> None:
    """`run --help` has a flag with the sentence for each setting; secrets have none."""
    text = subprocess.run(
        [sys.executable, "-m", "proxy", "run", "--help"],
        cwd=ROOT,
        env={"COLUMNS": "400", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    flags = set(re.findall(r"^  --([a-z-]+) VALUE", text, re.MULTILINE))
    secrets = {"client-secret", "egress-proxy"}
    assert flags == {name.replace("_", "-") for name in setting_names()} - secrets
    for name in setting_names():
        if name.replace("_", "-") not in secrets:
            assert str(Settings.model_fields[name].description) in text


def families() -> set[str]:
    """Return the names of the proxy's own metrics, as a scrape shows them."""
    text = used().render().decode()
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("signicat_proxy_")
    }


def test_the_page_on_monitoring_names_every_metric() -> None:
    """docs/monitor.md has a row for each metric, and for no other."""
    rows = re.findall(r"^\| `(signicat_proxy_\w+)` \|", read("docs/monitor.md"), re.MULTILINE)
    assert set(rows) == families()
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    "path", ["/livez", "/startupz", "/readyz", "/metrics", "/status", "/", "/-/refresh", "/-/quit"]
)
def test_the_page_on_monitoring_names_every_endpoint(path: str) -> None:
    """docs/monitor.md has a row for each endpoint of the admin port."""
    assert re.search(rf"^\| `(?:GET|POST) {path}` \|", read("docs/monitor.md"), re.MULTILINE)
    assert f'"{path}"' in read("proxy/admin/app.py")
