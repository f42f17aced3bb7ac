"""The template snippets of the page on Kubernetes, pasted as they stand into a Deployment."""

from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest

from tests.deploy.chart import documents, only, render_application
from tests.support.code_blocks import code_blocks

SNIPPETS: Final = [
    block.text for block in code_blocks("docs/kubernetes.md") if block.language == "gotemplate"
]
TOP, PLAIN, WITH_LISTS, FROM_VALUES, GUARDED, CHECKSUM = SNIPPETS
DEPLOYMENT: Final = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels:
      app: shop
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
        - name: shop
          image: images.example.com/shop:1.0.0
"""
CONTAINERS: Final = "      containers:\n"
LABELS: Final = "      labels:\n"


def values_of_the_page() -> dict[str, Any]:
    """Return the values that the page shows for the chart of an application."""
    (values,) = [
        document
        for block in code_blocks("docs/kubernetes.md")
        if block.language == "yaml" and "signicat-proxy:\n  mode: sidecar" in block.text
        for document in documents(block.text)
    ]
    found: dict[str, Any] = values["signicat-proxy"]
    return found


def pod_with(snippet: str, **own: Any) -> dict[str, Any]:
    """Return the pod of the Deployment with all snippets pasted where the page says."""
    template = TOP + DEPLOYMENT.replace(CONTAINERS, snippet + CONTAINERS)
    manifests = render_application(
        values_of_the_page(), template=template.replace(LABELS, CHECKSUM + LABELS), own=own
    )
    deployment = only(manifests, "Deployment")
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(deployment, version, strict=True)
    pod: dict[str, Any] = deployment["spec"]["template"]
    assert set(pod["metadata"]["annotations"]) == {"checksum/signicat-proxy"}
    spec: dict[str, Any] = pod["spec"]
    return spec


def names(entries: list[dict[str, Any]]) -> list[str]:
    """Return the names of containers or volumes, in order."""
    return [entry["name"] for entry in entries]


@pytest.mark.parametrize(
    ("snippet", "own", "init_containers", "volumes"),
    [
        (PLAIN, {}, ["signicat-proxy"], ["signicat-secret-shop"]),
        (GUARDED, {}, ["signicat-proxy"], ["signicat-secret-shop"]),
        (WITH_LISTS, {}, ["signicat-proxy", "migrate"], ["signicat-secret-shop", "cache"]),
        (FROM_VALUES, {}, [], ["signicat-secret-shop"]),
        (
            FROM_VALUES,
            {"volumes": [{"name": "data", "emptyDir": {}}]},
            [],
            ["signicat-secret-shop", "data"],
        ),
    ],
    ids=["plain", "guarded", "with lists", "from no values", "from values"],
)
def test_a_snippet_can_be_pasted(
    snippet: str, own: dict[str, Any], init_containers: list[str], volumes: list[str]
) -> None:
    """What comes out is a Deployment that Kubernetes accepts, with the sidecar first in it."""
    pod = pod_with(snippet, **own)
    assert names(pod.get("initContainers", [])) == init_containers
    assert names(pod["volumes"]) == volumes
    assert names(pod["containers"]) == ["shop"]


def test_the_plain_snippet_is_all_that_a_pod_needs() -> None:
    """The lines of the page make the same pod as the example application's chart."""
    pod = pod_with(PLAIN)
    (example,) = [
        manifest["spec"]["template"]["spec"]
        for manifest in render_application(values_of_the_page())
        if manifest["kind"] == "Deployment"
    ]
    for line in (
        "enableServiceLinks",
        "terminationGracePeriodSeconds",
        "initContainers",
        "volumes",
    ):
        assert pod[line] == example[line], line


def test_the_sidecar_can_be_switched_off() -> None:
    """Where its chart is disabled, nothing of it is asked for: there are no such templates."""
    values = {**values_of_the_page(), "enabled": False}
    template = TOP + DEPLOYMENT.replace(CONTAINERS, GUARDED + CONTAINERS)
    for found in (render_application(values, template=template), render_application(values)):
        (deployment,) = found
        kubernetes_validate.validate(deployment, "1.29", strict=True)
        pod = deployment["spec"]["template"]
        assert "annotations" not in pod["metadata"]
        assert set(pod["spec"]).isdisjoint({"initContainers", "volumes"})
    (variable,) = pod["spec"]["containers"][0]["env"]
    assert variable["value"] == "http://gateway-signicat-proxy.signicat"
    assert pod["metadata"]["labels"]["signicat-proxy-client"] == "true"
    with pytest.raises(helm.HelmError, match=r"signicat-proxy\.sidecarGrace"):
        render_application(values, template=template.replace("if $proxy", "if true"))
