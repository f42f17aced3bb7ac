"""The pages on Kubernetes show what works, and name what there is."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from proxy.settings.loader import Settings, setting_names
from tests.deploy.chart import (
    CHART,
    DEFAULTS,
    GATEWAY_VALUES,
    SCHEMA,
    described_values,
    documents,
    only,
    render,
    render_application,
    written_readme,
)
from tests.deploy.containers import need, tool
from tests.deploy.network_policy import Pod, lets_in
from tests.support.code_blocks import METHODS_OF, PAGES, CodeBlock, code_blocks
from tests.support.source_tree import ROOT, read


def blocks(language: str) -> list[str]:
    """Return the code blocks of the page on Kubernetes in a language."""
    return [b.text for b in code_blocks("docs/kubernetes.md") if b.language == language]


YAML_BLOCKS: Final = [
    pytest.param(block.text, id=str(block))
    for page in PAGES
    for block in code_blocks(page)
    if block.language == "yaml"
]


def check_as_values(block: dict[str, Any]) -> None:
    """Have Helm render a block that shows values; a page may show a part of what is required."""
    for route in block.get("routes", []):
        assert METHODS_OF[route["path"]] <= set(route.get("methods", METHODS_OF[route["path"]]))
    if "signicat-proxy" in block:
        assert render_application(block["signicat-proxy"])
        return
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(block)
    if {"image", "clients"} <= set(block):
        assert render(block)


def check_as_manifest(block: dict[str, Any]) -> None:
    """Keep the schemas of the oldest and the newest Kubernetes, unknown fields refused."""
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(block, version, strict=True)


def check_as_dependency(block: dict[str, Any]) -> None:
    """Name this chart, in the version that there is."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    (dependency,) = block["dependencies"]
    assert (dependency["name"], dependency["version"]) == (about["name"], about["version"])


def check_with(command: list[str], block: dict[str, Any], folder: Path) -> None:
    """Have a program check the block as a file, the alerts lying beside it."""
    need("" if tool(command[0]) else f"not installed: {command[0]}")
    (folder / "alerts.yaml").write_bytes((CHART / "files" / "alerts.yaml").read_bytes())
    file = folder / "block.yaml"
    file.write_text(yaml.safe_dump(block), "utf-8")
    words = [str(tool(command[0])), *command[1:]]
    done = subprocess.run(
        [word.replace("BLOCK", str(file)) for word in words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def without_kubernetes(block: dict[str, Any]) -> dict[str, Any]:
    """Leave out the discovery of pods, which Debian's Prometheus is built without."""
    for job in block["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs", [{"role": "pod"}]) == [{"role": "pod"}]
    return block


def check_as_data_sources(block: dict[str, Any]) -> None:
    """Grafana has no checker to be had: the label is the one that our exemplars have."""
    (source,) = block.pop("datasources")
    assert block == {}
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (destination,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "trace_id"
    assert destination["datasourceUid"]


PROMTOOL: Final = ["promtool", "check", "config", "BLOCK"]
COMPOSE: Final = ["docker-compose", "-f", "docker-compose.yml", "-f", "BLOCK", "config", "-q"]


@pytest.mark.parametrize("text", YAML_BLOCKS)
def test_every_yaml_block_is_valid(text: str, tmp_path: Path) -> None:
    """Manifests, values, a dependency, Prometheus' and Compose's files: each by its own checker."""
    for block in documents(text):
        if block.get("apiVersion", "").startswith("serving.knative.dev/"):
            continue  # by tests/deploy/test_platform_docs.py
        if block.get("apiVersion", "").startswith("cert-manager.io/"):
            continue  # by tests/deploy/test_chart_callers.py
        if "apiVersion" in block:
            check_as_manifest(block)
        elif "dependencies" in block:
            check_as_dependency(block)
        elif "scrape_configs" in block:
            check_with(PROMTOOL, without_kubernetes(block), tmp_path)
        elif "services" in block:
            check_with(COMPOSE, block, tmp_path)
        elif "datasources" in block:
            check_as_data_sources(block)
        else:
            check_as_values(block)


def test_the_example_values_are_valid() -> None:
    """What stands beside the chart keeps the rules of what the pages show."""
    check_as_values(GATEWAY_VALUES)


def test_the_page_has_yaml_of_every_kind() -> None:
    """The test above has something to look at."""
    found = [block for text in blocks("yaml") for block in documents(text)]
    assert {block.get("kind") for block in found} == {
        *("Certificate", "Deployment", "Job", "NetworkPolicy", None),
    }
    assert any("dependencies" in block for block in found)
    assert any("signicat-proxy" in block for block in found)
    assert sum("clients" in block for block in found) >= 3


def blocks_below(heading: str) -> list[CodeBlock]:
    """Return the code blocks of the page on Kubernetes below a heading."""
    page = read("docs/kubernetes.md")
    line = page[: page.index(f"\n{heading}\n")].count("\n")
    return [block for block in code_blocks("docs/kubernetes.md") if block.line > line]


def gateway_of_the_page() -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Return what Helm makes of the gateway's steps, the caller of step 4, and the namespace."""
    install = re.search(r"helm install (\S+) helm/signicat-proxy -n (\S+)", "".join(blocks("sh")))
    assert install
    shown = [b.text for b in blocks_below("## Gateway") if b.language == "yaml"]
    (values,), (caller,) = documents(shown[0]), documents(shown[1])
    return render(values, name=install[1], namespace=install[2]), caller, install[2]


def test_the_caller_of_the_page_gets_through() -> None:
    """Its namespace and label fit the gateway's values, and the address is that of the Service."""
    manifests, caller, namespace = gateway_of_the_page()
    policy = only(manifests, "NetworkPolicy")
    home, labels = caller["metadata"]["namespace"], caller["spec"]["template"]["metadata"]["labels"]
    assert home != namespace
    assert lets_in(policy, Pod(home, labels), 8080)
    assert not lets_in(policy, Pod(home, {"app": labels["app"]}), 8080)
    (address,) = re.findall(r"the address `http://([^`]+)`", read("docs/kubernetes.md"))
    (service,) = [
        manifest
        for manifest in manifests
        if manifest["kind"] == "Service" and address.startswith(f"{manifest['metadata']['name']}.")
    ]
    assert address == f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    assert [port["port"] for port in service["spec"]["ports"]] == [80]


def test_a_namespace_is_there_before_what_is_in_it() -> None:
    """The gateway's first step creates the namespace that its Secret and its release are in."""
    namespace = gateway_of_the_page()[2]
    commands = "".join(block.text for block in blocks_below("## Gateway") if block.language == "sh")
    assert commands.startswith(f"kubectl create namespace {namespace}\n")


def test_template_lines_of_the_page_stand_in_the_example() -> None:
    """What the page shows of our templates is taken from the example application's chart."""
    example = read("helm/signicat-proxy/examples/application/templates/deployment.yaml")
    known = {line.strip() for line in example.splitlines()}
    shown = [line.strip() for line in "".join(blocks("gotemplate")).splitlines()]
    ours = {line for line in shown if "signicat-proxy" in line}
    assert ours <= known
    assert ours == {line for line in known if "{{" in line and "signicat-proxy" in line}


def test_the_readme_is_up_to_date() -> None:
    """The README's tables are those that `make chart-readme` writes."""
    assert (CHART / "README.md").read_text("utf-8") == written_readme()


def test_every_value_is_described() -> None:
    """Each value has its `# --` comment: itself, or each one in it."""

    def undescribed(values: dict[str, Any], path: tuple[str, ...] = ()) -> list[str]:
        missing = []
        for name, value in values.items():
            here = (*path, name)
            if here in described_values():
                continue
            if isinstance(value, dict) and value:
                missing += undescribed(value, here)
            else:
                missing.append(".".join(here))
        return missing

    assert undescribed(DEFAULTS) == []


FIXED: Final = {
    "client_id": "clients.NAME.clientId",
    "client_secret": "never in values: the Secret of clients.NAME.secretName",
    "client_secret_file": "clients.NAME.secretName, secretFile or volume",
    "previous_secret_file": "clients.NAME.previousSecretKey or previousSecretFile",
    "client_key_file": "clients.NAME.secretName, secretFile or volume",
    "client_key_id": "clients.NAME.keyId",
    "client_cert_file": "clients.NAME.secretName, certFile or volume",
    "listen": "ports.traffic",
    "admin_listen": "ports.admin",
    "allowed_hosts": "extraAllowedHosts",
    "drain_seconds": "gateway and sidecar.drainSeconds",
    "shutdown_delay_seconds": "gateway and sidecar.shutdownDelaySeconds",
    "tls_cert_file": "tls.secretName",
    "tls_key_file": "tls.secretName",
    "tls_client_ca_file": "tls.clientCA",
    "ca_file": "caBundle",
    "egress_proxy": "egressProxy",
    "egress_proxy_file": "not yet: egressProxy names a Secret by an environment variable",
    "admin_quit": "stays off: a native sidecar needs it not even in a Job",
}
"""Settings that values do not give by their own name, and where they come from instead."""


def test_every_setting_can_be_given() -> None:
    """The proxy's settings are those under `settings`, and those that the chart gives itself."""
    passed = set(SCHEMA["definitions"]["settings"]["properties"])
    assert passed | set(FIXED) == set(setting_names())
    assert passed & set(FIXED) == set()


def facts(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says about type, bounds and allowed values, `null` left out."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rsplit("/", 1)[1]]
        else:
            (schema,) = [inner for inner in schema["anyOf"] if inner.get("type") != "null"]
    names = ("type", "enum", "minimum", "maximum", "exclusiveMinimum")
    return {name: schema[name] for name in names if name in schema}


@pytest.mark.parametrize("name", list(SCHEMA["definitions"]["settings"]["properties"]))
def test_the_rule_of_a_setting_is_that_of_the_proxy(name: str) -> None:
    """Type, bounds and allowed values of a setting are the same in chart and proxy."""
    model = Settings.model_json_schema()
    of_chart = facts(SCHEMA["definitions"]["settings"]["properties"][name], SCHEMA["definitions"])
    of_proxy = facts(model["properties"][name], model.get("$defs", {}))
    assert of_proxy == of_chart
