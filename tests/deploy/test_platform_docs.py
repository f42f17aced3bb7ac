"""The recipes for other platforms, as far as they can be checked without the platforms."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes_validate

from proxy.settings.loader import load
from tests.deploy.chart import GATEWAY_VALUES, documents, only, render
from tests.support.code_blocks import code_blocks

PAGE: Final = "docs/platforms.md"


def shown(language: str) -> list[str]:
    """Return the code blocks of the page in a language."""
    return [block.text for block in code_blocks(PAGE) if block.language == language]


def of_kind(kind: str) -> dict[str, Any]:
    """Return the one manifest of a kind that the page shows."""
    return only([document for text in shown("yaml") for document in documents(text)], kind)


def proxy_among(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the proxy's container."""
    (found,) = [container for container in containers if container["name"] == "signicat-proxy"]
    return found


def assert_valid(environ: Mapping[str, str], secret: str, folder: Path) -> None:
    """Have the proxy read the environment of a recipe; the platform fills in the secret."""
    settings = load(environ={**environ, secret: "s3cret-of-the-test"}, directory=folder).settings
    assert [client.client_id for client in settings.clients] == ["sandbox-round-apple-123"]


def test_the_containers_of_ecs_fit(tmp_path: Path) -> None:
    """The settings are valid, and the application starts after the proxy."""
    proxy, shop = json.loads(shown("json")[0])
    environ = {entry["name"]: entry["value"] for entry in proxy["environment"]}
    (secret,) = proxy["secrets"]
    assert_valid(environ, secret["name"], tmp_path)
    assert shop["dependsOn"] == [{"containerName": proxy["name"], "condition": "HEALTHY"}]


def test_the_containers_of_cloud_run_fit(tmp_path: Path) -> None:
    """They are a pod's containers, the settings are valid, and only the application has a port."""
    template = of_kind("Service")["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", **template["metadata"]},
        "spec": template["spec"],
    }
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    proxy = proxy_among(template["spec"]["containers"])
    environ = {entry["name"]: entry["value"] for entry in proxy["env"] if "value" in entry}
    (secret,) = [entry["name"] for entry in proxy["env"] if "valueFrom" in entry]
    assert_valid(environ, secret, tmp_path)
    assert "ports" not in proxy
    order = json.loads(
        template["metadata"]["annotations"]["run.googleapis.com/container-dependencies"]
    )
    assert order == {"shop": ["signicat-proxy"]}


def test_the_names_on_openshift_are_those_of_the_chart() -> None:
    """The service account that the page lets keep its user is that of the gateway's pods."""
    manifests = render(GATEWAY_VALUES, name="gateway", namespace="signicat")
    pod = only(manifests, "Deployment")["spec"]["template"]
    account = f"--serviceaccount=signicat:{pod['spec']['serviceAccountName']}"
    assert any(account in text.split() for text in shown("sh"))
